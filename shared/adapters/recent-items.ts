import { INTERACTION_KINDS, type InteractionKind } from '../interaction-kinds.ts';
import { halvesOf } from '../key-halves.ts';

/**
 * The items of a user's last interactions, each once, in the order of its last interaction, oldest
 * first. Recommendations exclude them, and explanations name those with the largest pull. For items
 * of earlier versions, all arrays but `keys` hold zeros.
 */
export interface RecentItems {
  /** 64-bit keys of the items. */
  readonly keys: BigUint64Array;
  /** Time of the last interaction, seconds since 1970; 0 when unknown. */
  readonly lastAt: Uint32Array;
  /** Kinds of interaction with the item, one bit of {@link KIND_BITS} each; 0 when unknown. */
  readonly kinds: Uint8Array;
  /**
   * Three numbers per item: the number of rewards, Σr, and Σβ, the item effects known when the
   * rewards were learned.
   */
  readonly sums: Float32Array;
}

export const KIND_BITS = { reward: 1, watch: 2, target: 4 } as const satisfies Record<
  InteractionKind,
  number
>;

/** One interaction with an item. */
export interface Meeting {
  readonly key: bigint;
  /** Seconds since 1970. */
  readonly at: number;
  readonly kind: InteractionKind;
  /** Null when the interaction had a target embedding. */
  readonly reward: number | null;
  /** β of the item when the interaction was learned. */
  readonly itemEffect: number;
}

export const RECENT_ITEMS_KEPT = 1_024;
/** Items of which only the keys are known. */
export function recentItemsOf(keys: BigUint64Array): RecentItems {
  const { length } = keys;
  return {
    keys,
    lastAt: new Uint32Array(length),
    kinds: new Uint8Array(length),
    sums: new Float32Array(3 * length),
  };
}

export const NO_RECENT_ITEMS = recentItemsOf(new BigUint64Array(0));
const LATEST = 2 ** 32 - 1;
/** Means of equal rewards, kept in float32, differ by less. */
const ROUNDING = 1e-6;

interface Met {
  readonly lastAt: number;
  readonly kinds: number;
  readonly sums: readonly [rewards: number, reward: number, effect: number];
}

/**
 * The newest {@link RECENT_ITEMS_KEPT} of `recent` followed by `added`. The result does not depend
 * on how `added` is split into calls.
 */
export function addRecentItems(recent: RecentItems, added: readonly Meeting[]): RecentItems {
  if (added.length === 0) return recent;
  const { length } = recent.keys;
  // In the order of their last interaction; each is newer than all of `recent` that has not moved.
  const newer = new Map<bigint, Met>();
  const moved = new Uint8Array(length);
  let [oldest, kept] = [0, length];
  for (const meeting of added) {
    const { key } = meeting;
    let met = newer.get(key);
    if (met === undefined) {
      const at = rowOfItem(recent, key);
      const isKnown = at >= oldest && moved[at] === 0;
      if (isKnown) moved[at] = 1;
      else kept++;
      met = isKnown ? metAt(recent, at) : { lastAt: 0, kinds: 0, sums: [0, 0, 0] };
    }
    newer.delete(key);
    newer.set(key, withMeeting(met, meeting));
    if (kept <= RECENT_ITEMS_KEPT) continue;
    while (moved[oldest] === 1) oldest++;
    if (oldest < length) oldest++;
    else newer.delete(newer.keys().next().value!);
    kept--;
  }
  return joined(recent, (row) => row >= oldest && moved[row] === 0, newer, kept);
}

function metAt({ lastAt, kinds, sums }: RecentItems, row: number): Met {
  return {
    lastAt: lastAt[row]!,
    kinds: kinds[row]!,
    sums: [sums[3 * row]!, sums[3 * row + 1]!, sums[3 * row + 2]!],
  };
}

function withMeeting({ lastAt, kinds, sums }: Met, { at, kind, reward, itemEffect }: Meeting): Met {
  const [rewards, sum, effects] = sums;
  return {
    lastAt: Math.min(LATEST, Math.max(lastAt, at)),
    kinds: kinds | KIND_BITS[kind],
    // Rounded as in storage, so that the sums do not depend on how updates are split.
    sums:
      reward === null ? sums : [rewards + 1, Math.fround(sum + reward), Math.fround(effects + itemEffect)],
  };
}

/** Some rows of `recent`, followed by newer items. */
function joined(
  recent: RecentItems,
  isKept: (row: number) => boolean,
  newer: ReadonlyMap<bigint, Met>,
  length: number,
): RecentItems {
  const all = recentItemsOf(new BigUint64Array(length));
  const [from, to] = [halvesOf(recent.keys), halvesOf(all.keys)];
  let row = 0;
  for (let at = 0; at < recent.keys.length; at++) {
    if (!isKept(at)) continue;
    to[2 * row] = from[2 * at]!;
    to[2 * row + 1] = from[2 * at + 1]!;
    all.lastAt[row] = recent.lastAt[at]!;
    all.kinds[row] = recent.kinds[at]!;
    for (let i = 0; i < 3; i++) all.sums[3 * row + i] = recent.sums[3 * at + i]!;
    row++;
  }
  newer.forEach(({ lastAt, kinds, sums }, key) => {
    all.keys[row] = key;
    all.lastAt[row] = lastAt;
    all.kinds[row] = kinds;
    all.sums.set(sums, 3 * row);
    row++;
  });
  return all;
}

/** Place of an item in the list; −1 when it is not there. */
export function rowOfItem({ keys }: RecentItems, key: bigint): number {
  const halves = halvesOf(keys);
  const [low, high] = halvesOf(BigUint64Array.of(key));
  for (let at = 0; at < halves.length; at += 2)
    if (halves[at] === low && halves[at + 1] === high) return at >>> 1;
  return -1;
}

/** The same items with one reward of an item replaced; an item that is not there stays away. */
export function correctRecentItem(
  recent: RecentItems,
  { key, at, kind }: Pick<Meeting, 'key' | 'at' | 'kind'>,
  change: number,
): RecentItems {
  const i = rowOfItem(recent, key);
  if (i === -1) return recent;
  const sum = 3 * i + 1;
  return {
    keys: recent.keys,
    lastAt: recent.lastAt.with(i, Math.min(LATEST, Math.max(recent.lastAt[i]!, at))),
    kinds: recent.kinds.with(i, recent.kinds[i]! | KIND_BITS[kind]),
    sums: recent.sums.with(sum, recent.sums[sum]! + change),
  };
}

/**
 * The keys of the items that a user picked, oldest first: those with a reward of at least the
 * user's average. An item with only a known key counts as picked.
 */
export function pickedItems({ keys, kinds, sums }: RecentItems): BigUint64Array {
  let rewards = 0;
  let total = 0;
  for (let i = 0; i < sums.length; i += 3) {
    rewards += sums[i]!;
    total += sums[i + 1]!;
  }
  const least = rewards === 0 ? 0 : total / rewards - ROUNDING;
  return keys.filter((_, i) => {
    const count = sums[3 * i]!;
    if (count === 0) return kinds[i] === 0;
    const mean = sums[3 * i + 1]! / count;
    return mean > 0 && mean >= least;
  });
}

/**
 * The keys of items with an interaction of some kind since some time. Items whose kind or time is
 * unknown are included.
 * @param since seconds since 1970; default from the beginning
 * @param kinds default all
 */
export function metItems(
  { keys, lastAt, kinds }: RecentItems,
  {
    since = 0,
    kinds: wanted = INTERACTION_KINDS,
  }: { readonly since?: number | undefined; readonly kinds?: readonly InteractionKind[] | undefined },
): BigUint64Array {
  const bits = wanted.reduce((sum, kind) => sum | KIND_BITS[kind], 0);
  return keys.filter((_, i) => {
    const isOfKind = kinds[i] === 0 || (kinds[i]! & bits) !== 0;
    return isOfKind && (lastAt[i] === 0 || lastAt[i]! >= since);
  });
}
