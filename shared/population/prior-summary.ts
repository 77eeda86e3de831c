import type { PriorSummary } from '../episodes/cell-strategy.ts';
import { packedLength } from '../lora/symmetric.ts';
import type { PopulationModel } from './population-model.ts';

export function summaryOf({
  version,
  priorVersion,
  prior,
  items,
  progress,
  evidence,
}: PopulationModel): PriorSummary {
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
