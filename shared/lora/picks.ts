import type { PickSums } from './choice.ts';
import type { Statistics } from './statistics.ts';
import { dot, packedLength } from './symmetric.ts';

/**
 * A user's rewards read as picks of items, as sums in float64. A reward is the weight of a pick, so
 * a reward of 0 is no pick. The sums are linear in the rewards, so a corrected reward is subtracted
 * exactly.
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
export function recordRank({ count, excess, squares }: RankingRecord, percentile: number): RankingRecord {
  const above = percentile - 0.5;
  return { count: count + 1, excess: excess + above, squares: squares + above * above };
}

/** The sums for the choice model, without the offset. */
export function pickSums({ sum }: Picks): PickSums {
  return { count: sum[sum.length - 1]!, sum: sum.subarray(0, sum.length - 1) };
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
