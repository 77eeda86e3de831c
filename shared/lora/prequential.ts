import type { Statistics } from './statistics.ts';

/**
 * A prediction and its outcome: every reward is predicted before it is learned (test-then-train;
 * Dawid 1984).
 */
export interface PredictedReward {
  readonly reward: number;
  /** r̂ from everything known before. */
  readonly predicted: number;
  /** The user's shrunken mean reward, which needs no adapter. */
  readonly predictedByUserMean: number;
  /** The prediction of the prior alone, without the user's own feedback. */
  readonly predictedByWarmStart: number;
  /** r − r̂ + β: reward minus the prediction without the item effect, for learning item effects. */
  readonly itemResidual: number;
  /** What correcting the reward later needs; absent for a learner that cannot. */
  readonly learned?: LearnedReward;
}

/** A reward as it was predicted and learned. */
export interface LearnedReward
  extends Pick<PredictedReward, 'reward' | 'predicted' | 'predictedByUserMean' | 'predictedByWarmStart'> {
  /** What was subtracted from the reward before it was learned. */
  readonly known: number;
  /**
   * Where taste ranked the item, and the least reward that is a pick; null without choice model.
   */
  readonly ranked: { readonly percentile: number; readonly least: number } | null;
}

/** Interactions of one event that are predicted together, before any of them is learned. */
const CHUNK = 5;

/**
 * Splits the interactions of one event in order. Each chunk is predicted with what the chunks
 * before it taught, so that an event with a whole history shows whether learning helped.
 */
export function* chunksOf<T>(interactions: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < interactions.length; start += CHUNK)
    yield interactions.slice(start, start + CHUNK);
}

/**
 * Running sums over all predictions of one adapter. A loss is the squared error of one predicted
 * reward.
 */
export interface PrequentialRecord {
  /** Rewards predicted. */
  readonly count: number;
  /** Σ(r − r̂)² of the adapter. */
  readonly adapterLoss: number;
  /** The same for the user's shrunken mean reward, which needs no adapter. */
  readonly userMeanLoss: number;
  /** The same for the prior alone, without the user's own feedback. */
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

/** (Σr + 20·g0)/(n + 20): the prediction for a user without any adapter. */
export function shrunkenMean(
  { rewardSum, count }: Pick<Statistics, 'rewardSum' | 'count'>,
  meanReward: number,
): number {
  return (rewardSum + USER_MEAN_SHRINKAGE * meanReward) / (count + USER_MEAN_SHRINKAGE);
}

type Prediction = Omit<LearnedReward, 'known' | 'ranked'>;

/** The record with one more prediction. */
export function recordPrediction(record: PrequentialRecord, prediction: PredictedReward): PrequentialRecord {
  return addPrediction(record, prediction, 1);
}

/** The record with the outcome of a prediction replaced. */
export function replaceOutcome(
  record: PrequentialRecord,
  prediction: Prediction,
  reward: number,
): PrequentialRecord {
  return addPrediction(addPrediction(record, prediction, -1), { ...prediction, reward }, 1);
}

function addPrediction(record: PrequentialRecord, p: Prediction, times: 1 | -1): PrequentialRecord {
  const adapter = (p.reward - p.predicted) ** 2;
  const userMean = (p.reward - p.predictedByUserMean) ** 2;
  const warmStart = (p.reward - p.predictedByWarmStart) ** 2;
  return {
    count: record.count + times,
    adapterLoss: record.adapterLoss + times * adapter,
    userMeanLoss: record.userMeanLoss + times * userMean,
    warmStartLoss: record.warmStartLoss + times * warmStart,
    adapterUserMeanSquares: record.adapterUserMeanSquares + times * (adapter - userMean) ** 2,
    adapterWarmStartSquares: record.adapterWarmStartSquares + times * (adapter - warmStart) ** 2,
    warmStartUserMeanSquares: record.warmStartUserMeanSquares + times * (warmStart - userMean) ** 2,
  };
}

/**
 * What a user is served from: the own adapter, the warm start of new users, or the unchanged
 * embeddings.
 */
export type ServingMode = 'adapter' | 'warm-start' | 'base';

/**
 * Probability of ever rejecting a harmless adapter, for one comparison over a user's whole life.
 */
const FALSE_ALARM = 0.05;
/**
 * Variance sum at which the boundary is tightest, reached after about 20 predictions. Any value
 * keeps the false-alarm rate.
 */
const MIXING_VARIANCE = 0.02;

/**
 * The guard: serves the adapter unless there is evidence that it predicts worse than the user's
 * mean or than the warm start; then the warm start, unless that is worse than the user's mean; then
 * the unchanged embeddings.
 *
 * The evidence is an anytime-valid test, because it is checked after every update. With S the sum
 * of the n loss differences and V the sum of their squares, exp(λS − λ²V/2) is a supermartingale
 * for every λ > 0 when the differences have a mean of at most 0 and are symmetric about it given
 * the past. A difference is linear in the reward, so it is symmetric when the reward's noise is.
 * Mixed over λ ~ N(0, 1/ρ), Ville's inequality gives
 *
 * P(some n has S ≥ √((V + ρ)·ln((V + ρ)/(ρα²)))) ≤ α.
 *
 * (Robbins 1970, Ann. Math. Stat. 41(5); de la Peña, Klass & Lai 2004, Ann. Prob. 32(3), for the
 * self-normalised form.) The cost of an adapter before it is rejected is therefore bounded by what
 * chance alone reaches with probability α.
 */
export function servingMode(record: PrequentialRecord): ServingMode {
  const { adapterLoss, userMeanLoss, warmStartLoss } = record;
  const adapterHarms =
    isShownWorse(adapterLoss - userMeanLoss, record.adapterUserMeanSquares) ||
    isShownWorse(adapterLoss - warmStartLoss, record.adapterWarmStartSquares);
  if (!adapterHarms) return 'adapter';
  return isShownWorse(warmStartLoss - userMeanLoss, record.warmStartUserMeanSquares) ? 'base' : 'warm-start';
}

/**
 * Whether a sum of loss differences is evidence of harm; see {@link servingMode}.
 * @param squares the sum of their squares
 */
export function isShownWorse(excessLoss: number, squares: number): boolean {
  const variance = squares + MIXING_VARIANCE;
  return (
    excessLoss >= Math.sqrt(variance * Math.log(variance / (MIXING_VARIANCE * FALSE_ALARM * FALSE_ALARM)))
  );
}
