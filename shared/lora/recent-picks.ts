import { positionOf } from './neighbours.ts';

/**
 * How often items were picked of late: counts that forget exponentially, by several half-lives, and
 * a record of how well each of them ranked later picks. What is popular changes within a week in
 * some deployments and over years in others, so the half-life is learned.
 */
export interface RecentPicks {
  /** Epoch milliseconds of the counts. */
  readonly at: number;
  /** Items, ascending. */
  readonly keys: BigUint64Array;
  /** By item, a number per entry of {@link HALF_LIVES}. */
  readonly counts: Float32Array;
  /** By half-life. */
  readonly records: readonly ForgettingRecord[];
}

/**
 * How much better the counts of a half-life ranked later picks than those of the next longer one,
 * the longest than counts that never forget. Every user counts once a run.
 */
export interface ForgettingRecord {
  readonly users: number;
  /** Σ of differences of gains; a pick at place p, from 0, has the gain 1/log₂(2 + p). */
  readonly gain: number;
  readonly squares: number;
}

/** The items that a user picked at one time. */
export interface Sitting {
  readonly userKey: string;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly items: readonly bigint[];
}

const DAY_MS = 86_400_000;
/** In days. */
export const HALF_LIVES: readonly number[] = [7, 30, 180, 1000];
/** Least users before counts that forget are used. */
const FEWEST_USERS = 20;
/** In standard errors: more than usual, because every run asks again. */
const CERTAIN = 3;
/** Share of the popularity that comes from counts that forget, if any do. */
const RECENT_SHARE = 0.75;

export const NO_RECENT_PICKS: RecentPicks = {
  at: 0,
  keys: new BigUint64Array(0),
  counts: new Float32Array(0),
  records: HALF_LIVES.map(() => ({ users: 0, gain: 0, squares: 0 })),
};

interface CountingRules {
  /** How often an item was picked so far, without forgetting. */
  readonly total: (key: bigint) => number;
  /** Whether the counts of an item are kept. */
  readonly kept: (key: bigint) => boolean;
  /**
   * Epoch milliseconds. A later time counts as this one: one wrong clock must not age the counts of
   * all items. Default: no limit.
   */
  readonly now?: number;
}

/** Ranks the new picks by the counts so far, and then counts them as of the newest. */
export function addSittings(
  recent: RecentPicks,
  given: readonly Sitting[],
  { total, kept, now = Number.POSITIVE_INFINITY }: CountingRules,
): RecentPicks {
  if (given.length === 0) return recent;
  const sittings = given.map((sitting) => ({ ...sitting, at: Math.min(sitting.at, now) }));
  const before = Math.min(recent.at, now);
  const newest = sittings.reduce((latest, { at }) => Math.max(latest, at), before);
  const added = addedCounts(sittings, newest);
  const keys = BigUint64Array.from(new Set([...recent.keys, ...added.keys()]))
    .filter(kept)
    .sort();
  const width = HALF_LIVES.length;
  const decay = HALF_LIVES.map((days) => 2 ** -((newest - before) / (days * DAY_MS)));
  const counts = new Float32Array(keys.length * width);
  keys.forEach((key, i) => {
    const known = positionOf(recent.keys, key);
    const more = added.get(key);
    for (let h = 0; h < width; h++)
      counts[i * width + h] =
        (known === -1 ? 0 : recent.counts[known * width + h]! * decay[h]!) + (more?.[h] ?? 0);
  });
  return { at: newest, keys, counts, records: recordsAfter(recent, sittings, total) };
}

/**
 * The half-life to count with, as an index into {@link HALF_LIVES}: the one with the highest gain
 * over counts that never forget minus three standard errors, as if the steps between half-lives
 * were independent. The search goes from the longest to the shortest and ends when a step gains
 * less than its standard error, so that a few users with fashions of their own do not decide.
 * @returns undefined to forget nothing
 */
export function bestHalfLife({ records }: RecentPicks): number | undefined {
  let best: number | undefined;
  let highest = 0;
  let gain = 0;
  let variance = 0;
  for (let h = HALF_LIVES.length - 1; h >= 0; h--) {
    const step = meanGain(records[h]!);
    if (step === undefined || step.mean <= Math.sqrt(step.variance)) break;
    gain += step.mean;
    variance += step.variance;
    const bound = gain - CERTAIN * Math.sqrt(variance);
    if (bound <= highest) continue;
    best = h;
    highest = bound;
  }
  return best;
}

/** With the variance of the mean; undefined with too few users. */
function meanGain({ users, gain, squares }: ForgettingRecord) {
  if (users < FEWEST_USERS) return undefined;
  const mean = gain / users;
  return { mean, variance: Math.max(0, squares / users - mean * mean) / (users - 1) };
}

/**
 * The popularity of an item in the unit of picks, given how often it was picked without forgetting.
 * The counts that forget are scaled to the same sum.
 * @param total Σ over items of how often they were picked
 */
export function popularityBy(recent: RecentPicks, total: number): (key: bigint, count: number) => number {
  const halfLife = bestHalfLife(recent);
  if (halfLife === undefined) return (_, count) => count;
  const { keys, counts } = recent;
  const width = HALF_LIVES.length;
  let sum = 0;
  for (let i = halfLife; i < counts.length; i += width) sum += counts[i]!;
  if (sum === 0) return (_, count) => count;
  const scale = (RECENT_SHARE * total) / sum;
  return (key, count) => {
    const position = positionOf(keys, key);
    const lately = position === -1 ? 0 : counts[position * width + halfLife]!;
    return (1 - RECENT_SHARE) * count + scale * lately;
  };
}

function addedCounts(sittings: readonly Sitting[], now: number): Map<bigint, number[]> {
  const added = new Map<bigint, number[]>();
  for (const { at, items } of sittings) {
    const age = (now - at) / DAY_MS;
    const weights = HALF_LIVES.map((days) => 2 ** -(age / days));
    for (const key of items) {
      const known = added.get(key);
      added.set(key, known === undefined ? weights : known.map((count, h) => count + weights[h]!));
    }
  }
  return added;
}

function recordsAfter(
  recent: RecentPicks,
  sittings: readonly Sitting[],
  total: (key: bigint) => number,
): readonly ForgettingRecord[] {
  const { keys, counts, records } = recent;
  if (keys.length === 0) return records;
  const width = HALF_LIVES.length;
  const totals = Float64Array.from(keys, total);
  const ranked = totals.toSorted();
  const columns = HALF_LIVES.map((_, h) => Float64Array.from(keys, (_, i) => counts[i * width + h]!).sort());
  const byUser = new Map<string, { picks: number; differences: number[] }>();
  for (const { userKey, items } of sittings) {
    const user = byUser.get(userKey) ?? { picks: 0, differences: HALF_LIVES.map(() => 0) };
    for (const key of items) {
      const position = positionOf(keys, key);
      user.picks += 1;
      if (position === -1) continue;
      const without = gainAt(ranked, totals[position]!);
      const gains = columns.map((column, h) => gainAt(column, counts[position * width + h]!));
      gains.forEach((gain, h) => {
        user.differences[h]! += gain - (gains[h + 1] ?? without);
      });
    }
    byUser.set(userKey, user);
  }
  return records.map((record, h) => {
    let { users, gain, squares } = record;
    for (const { picks, differences } of byUser.values()) {
      const difference = differences[h]! / picks;
      users += 1;
      gain += difference;
      squares += difference * difference;
    }
    return { users, gain, squares };
  });
}

/** The gain of an item with `count` among ascending counts; equal ones share their places. */
function gainAt(ascending: Float64Array, count: number): number {
  const above = ascending.length - firstFrom(ascending, (value) => value > count);
  const equal = ascending.length - above - firstFrom(ascending, (value) => value >= count);
  return 1 / Math.log2(2 + above + (equal - 1) / 2);
}

/** Index of the first value that satisfies a condition that all later ones satisfy, too. */
function firstFrom(ascending: Float64Array, satisfies: (value: number) => boolean): number {
  let low = 0;
  let high = ascending.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (satisfies(ascending[middle]!)) high = middle;
    else low = middle + 1;
  }
  return low;
}
