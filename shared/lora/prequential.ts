import type { Statistics } from './statistics.ts';

/** What one prediction was worth: every reward is predicted before it is learned from (test-then-train; Dawid 1984). */
export interface PredictedReward {
  readonly reward: number;
  /** r̂ with everything that was known before. */
  readonly predicted: number;
  /** The user's shrunken mean reward: what is expected without any adapter. */
  readonly predictedByUserMean: number;
  /** The prior alone, before the user's own feedback. */
  readonly predictedByWarmStart: number;
  /** r − r̂ + β: what the item got beyond what the user was expected to give, for learning item effects. */
  readonly itemResidual: number;
}

/** Interactions of one event that are predicted together, before any of them is learned. */
const CHUNK = 5;

/**
 * The interactions of one event, cut in order: a chunk is predicted with what those before it taught. So an event that brings a
 * whole history shows whether learning helped.
 */
export function* chunksOf<T>(interactions: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < interactions.length; start += CHUNK)
    yield interactions.slice(start, start + CHUNK);
}

/** Running sums over all predictions of one adapter. A loss is a squared error of one predicted reward. */
export interface PrequentialRecord {
  /** Rewards predicted. */
  readonly count: number;
  /** Σ(r − r̂)² of the adapter. */
  readonly adapterLoss: number;
  /** The same of the user's shrunken mean reward, which needs no adapter. */
  readonly userMeanLoss: number;
  /** The same of the prior alone, before the user's own feedback. */
  readonly warmStartLoss: number;
  /** Σ(loss of the adapter − loss of the user's mean)². */
  readonly adapterUserMeanSquares: number;
  /** Σ(loss of the adapter − loss of the warm start)². */
  readonly adapterWarmStartSquares: number;
  /** Σ(loss of the warm start − loss of the user's mean)². */
  readonly warmStartUserMeanSquares: number;
}

export const NO_PREDICTIONS: PrequentialRecord = {
  count: 0,
  adapterLoss: 0,
  userMeanLoss: 0,
  warmStartLoss: 0,
  adapterUserMeanSquares: 0,
  adapterWarmStartSquares: 0,
  warmStartUserMeanSquares: 0,
};

/** Weight of the mean reward in a user's shrunken mean, in interactions. */
const USER_MEAN_SHRINKAGE = 20;

/** (Σr + 20·g0)/(n + 20): what is expected of a user without any adapter. */
export function shrunkenMean(
  { rewardSum, count }: Pick<Statistics, 'rewardSum' | 'count'>,
  meanReward: number,
): number {
  return (rewardSum + USER_MEAN_SHRINKAGE * meanReward) / (count + USER_MEAN_SHRINKAGE);
}

/** The record with one more prediction. */
export function recordPrediction(record: PrequentialRecord, p: PredictedReward): PrequentialRecord {
  const adapter = (p.reward - p.predicted) ** 2;
  const userMean = (p.reward - p.predictedByUserMean) ** 2;
  const warmStart = (p.reward - p.predictedByWarmStart) ** 2;
  return {
    count: record.count + 1,
    adapterLoss: record.adapterLoss + adapter,
    userMeanLoss: record.userMeanLoss + userMean,
    warmStartLoss: record.warmStartLoss + warmStart,
    adapterUserMeanSquares: record.adapterUserMeanSquares + (adapter - userMean) ** 2,
    adapterWarmStartSquares: record.adapterWarmStartSquares + (adapter - warmStart) ** 2,
    warmStartUserMeanSquares: record.warmStartUserMeanSquares + (warmStart - userMean) ** 2,
  };
}

/** What a user is to be served from: the own adapter, the warm start of new users, or the embeddings as they are. */
export type ServingMode = 'adapter' | 'warm-start' | 'base';

/** Chance of ever standing an adapter down that does no harm, for one comparison and a user's whole life. */
const FALSE_ALARM = 0.05;
/** Variance sum at which the boundary is tightest: that of about 20 predictions. Any value keeps the false-alarm rate. */
const MIXING_VARIANCE = 0.02;

/**
 * The guard: the adapter is served unless the record is evidence that it predicts worse than the user's mean or than the warm
 * start; then the warm start, unless that is shown to be worse than the user's mean; then the base.
 *
 * Evidence is an anytime-valid test, since it is looked at after every update. With S the sum of the n loss differences and V
 * the sum of their squares, exp(λS − λ²V/2) is a supermartingale for every λ > 0 when the differences have a mean of at most 0
 * and are symmetric about it given the past: a difference is linear in the reward, so they are when the reward's noise is.
 * Mixed over λ ~ N(0, 1/ρ), Ville's inequality gives
 *
 *   P(some n has S ≥ √((V + ρ)·ln((V + ρ)/(ρα²)))) ≤ α.
 *
 * (Robbins 1970, Ann. Math. Stat. 41(5); de la Peña, Klass & Lai 2004, Ann. Prob. 32(3), for the self-normalised form.) So
 * what an adapter can cost before it is stood down is bounded by what chance alone does with probability α.
 */
export function servingMode(record: PrequentialRecord): ServingMode {
  const { adapterLoss, userMeanLoss, warmStartLoss } = record;
  const adapterHarms =
    isShownWorse(adapterLoss - userMeanLoss, record.adapterUserMeanSquares) ||
    isShownWorse(adapterLoss - warmStartLoss, record.adapterWarmStartSquares);
  if (!adapterHarms) return 'adapter';
  return isShownWorse(warmStartLoss - userMeanLoss, record.warmStartUserMeanSquares) ? 'base' : 'warm-start';
}

/** Whether a sum of loss differences is evidence of harm: see {@link servingMode}. @param squares the sum of their squares */
export function isShownWorse(excessLoss: number, squares: number): boolean {
  const variance = squares + MIXING_VARIANCE;
  return (
    excessLoss >= Math.sqrt(variance * Math.log(variance / (MIXING_VARIANCE * FALSE_ALARM * FALSE_ALARM)))
  );
}
