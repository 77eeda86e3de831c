import { INTERACTION_KINDS, type InteractionKind } from '../interaction-kinds.ts';

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
  lastAt: number;
  kinds: number;
  sums: [rewards: number, reward: number, effect: number];
}

/**
 * The newest {@link RECENT_ITEMS_KEPT} of `recent` followed by `added`. The result does not depend
 * on how `added` is split into calls.
 */
export function addRecentItems(recent: RecentItems, added: readonly Meeting[]): RecentItems {
  if (added.length === 0) return recent;
  const inOrder = new Map<bigint, Met>();
  recent.keys.forEach((key, i) => {
    const [rewards = 0, reward = 0, effect = 0] = recent.sums.subarray(3 * i, 3 * i + 3);
    inOrder.set(key, {
      lastAt: recent.lastAt[i]!,
      kinds: recent.kinds[i]!,
      sums: [rewards, reward, effect],
    });
  });
  for (const { key, at, kind, reward, itemEffect } of added) {
    const met = inOrder.get(key) ?? { lastAt: 0, kinds: 0, sums: [0, 0, 0] };
    met.lastAt = Math.min(LATEST, Math.max(met.lastAt, at));
    met.kinds |= KIND_BITS[kind];
    if (reward !== null) {
      // Rounded as in storage, so that the sums do not depend on how updates are split.
      const [rewards, sum, effects] = met.sums;
      met.sums = [rewards + 1, Math.fround(sum + reward), Math.fround(effects + itemEffect)];
    }
    inOrder.delete(key);
    inOrder.set(key, met);
    if (inOrder.size > RECENT_ITEMS_KEPT) inOrder.delete(inOrder.keys().next().value!);
  }
  const kept = [...inOrder.values()];
  return {
    keys: BigUint64Array.from(inOrder.keys()),
    lastAt: Uint32Array.from(kept, ({ lastAt }) => lastAt),
    kinds: Uint8Array.from(kept, ({ kinds }) => kinds),
    sums: Float32Array.from(kept.flatMap(({ sums }) => sums)),
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
