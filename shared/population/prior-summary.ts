import { packedLength } from '../lora/symmetric.ts';
import type { Evidence, Skills } from './population-model.ts';

/** What new users of a cell start from, in few numbers: the strategy of the learner 'bayesian'. Holds no users. */
export interface PriorSummary {
  /** Of the skills, and of those that made the prior; 0 before there was one. */
  readonly skillsVersion: number;
  readonly priorVersion: number;
  /** σ². */
  readonly noiseVariance: number;
  /** g0. */
  readonly meanReward: number;
  /** Mean variance of a coefficient among users: how far tastes spread. */
  readonly coefficientVariance: number;
  /** Variance of the offset among users. */
  readonly offsetVariance: number;
  /** Items whose effect is known. */
  readonly items: number;
  /** Episodes consolidated so far. */
  readonly episodes: number;
  /** Epoch milliseconds. */
  readonly consolidatedAt: number;
  readonly evidence: Evidence | null;
}

export function summaryOf({ version, priorVersion, prior, items, progress, evidence }: Skills): PriorSummary {
  const order = prior.mean.length;
  const variance = (i: number) => prior.covariance[packedLength(i) + i]!;
  let variances = 0;
  for (let i = 0; i < order - 1; i++) variances += variance(i);
  return {
    skillsVersion: version,
    priorVersion,
    noiseVariance: prior.noiseVariance,
    meanReward: prior.meanReward,
    coefficientVariance: order > 1 ? variances / (order - 1) : 0,
    offsetVariance: variance(order - 1),
    items: items.sums.size,
    episodes: progress.episodes,
    consolidatedAt: progress.at,
    evidence,
  };
}
