import type { PickSums } from './choice.ts';
import { pickWeights, type RewardSpread } from './pick-weights.ts';
import type { Statistics } from './statistics.ts';
import { dot, packedLength } from './symmetric.ts';

/**
 * A user's rewards as sums in float64, from which {@link pickSums} reads what the user picked. The
 * sums are linear in the rewards, so a corrected reward is subtracted exactly.
 */
export interface Picks {
  /** Σrψ, length P; the last number is Σr. */
  readonly sum: Float64Array;
  /** Σr². */
  readonly squares: number;
  /** How well taste ranked the picks so far, each before it was learned. */
  readonly ranking: RankingRecord;
}

/**
 * Prequential record of the choice model. A percentile is where taste alone ranked a pick; ½ is no
 * better than popularity.
 */
export interface RankingRecord {
  /** Picks that were ranked. */
  readonly count: number;
  /** Σ(percentile − ½). */
  readonly excess: number;
  /** Σ(percentile − ½)². */
  readonly squares: number;
}

export const NOTHING_RANKED: RankingRecord = { count: 0, excess: 0, squares: 0 };

export function emptyPicks(coefficients: number): Picks {
  return { sum: new Float64Array(coefficients), squares: 0, ranking: NOTHING_RANKED };
}

/**
 * The picks of a state of an earlier version. Exact when every reward was 1; otherwise an
 * approximation from Σψy, in which the item effects of that time are subtracted.
 */
export function picksOf({ gram, moment, sumSquares, count, rewardSum }: Statistics): Picks {
  const size = moment.length;
  const allOnes = rewardSum === count;
  const sum = allOnes ? gram.slice(packedLength(size - 1)) : moment.slice();
  sum[size - 1] = rewardSum;
  return { sum, squares: allOnes ? count : sumSquares, ranking: NOTHING_RANKED };
}

/** Adds one reward. Changes `picks.sum` in place, so pass a copy that nobody else holds. */
export function addPick(picks: Picks, psi: Float64Array, reward: number): Picks {
  for (let i = 0; i < psi.length; i++) picks.sum[i]! += reward * psi[i]!;
  return { ...picks, squares: picks.squares + reward * reward };
}

/** @param percentile rank of the pick, 0 to 1 */
export function recordRank(record: RankingRecord, percentile: number): RankingRecord {
  return addRank(record, percentile, 1);
}

/** The record without a pick that turned out to be none. */
export function withdrawRank(record: RankingRecord, percentile: number): RankingRecord {
  return addRank(record, percentile, -1);
}

function addRank({ count, excess, squares }: RankingRecord, percentile: number, times: 1 | -1) {
  const above = percentile - 0.5;
  return {
    count: count + times,
    excess: excess + times * above,
    squares: Math.max(0, squares + times * above * above),
  };
}

/**
 * The sums for the choice model, without the offset. Σ weight·ψ and Σ weight² follow from sums that
 * every adapter has.
 */
export function pickSums(
  { gram, count, rewardSum }: Pick<Statistics, 'gram' | 'count' | 'rewardSum'>,
  { sum, squares }: Picks,
  rewards: RewardSpread | null,
): PickSums {
  const size = sum.length - 1;
  const { from, unit } = pickWeights({ count, rewardSum }, rewards);
  const total = sum[size]!;
  const psi = gram.subarray(packedLength(size));
  return {
    count: Math.max(0, squares - from * (2 * total - from * count)) / unit ** 2,
    weight: (total - from * count) / unit,
    sum: Float64Array.from({ length: size }, (_, i) => (sum[i]! - from * psi[i]!) / unit),
  };
}

/**
 * Mean and deviation of the rewards of users, whose weights are bounded, n/(1 + εn). Null when all
 * rewards are the same.
 * @param saturation ε
 */
export function spreadOf(
  users: readonly { readonly picks: Picks; readonly statistics: Pick<Statistics, 'count'> }[],
  saturation: number,
): RewardSpread | null {
  let [count, total, squares] = [0, 0, 0];
  for (const { picks, statistics } of users) {
    const share = 1 / (1 + saturation * statistics.count);
    count += share * statistics.count;
    total += share * picks.sum.at(-1)!;
    squares += share * picks.squares;
  }
  const mean = total / count;
  const variance = squares / count - mean * mean;
  return variance > 1e-9 * mean * mean ? { mean, deviation: Math.sqrt(variance) } : null;
}

/** Σrψ' = T·Σrψ; the constant coordinate, Σr, does not change. */
export function carryPicks(picks: Picks, featureMap: readonly Float64Array[]): Picks {
  return { ...picks, sum: Float64Array.from(featureMap, (row) => dot(row, picks.sum)) };
}

/** Whether all rewards of a user were the same, so that only the picks carry information. */
export function hasConstantRewards({ sum, squares }: Picks, count: number): boolean {
  const total = sum[sum.length - 1]!;
  return count * squares - total * total <= 1e-9 * count * squares;
}
