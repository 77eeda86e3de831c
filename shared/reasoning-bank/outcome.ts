import type { PredictedReward } from '../lora/prequential.ts';
import type { Episode, Outcome } from './episode.ts';

/** With and without the adapter. */
type Losses = Pick<Outcome, 'loss' | 'lossWithoutAdapter'>;

/** Test-then-train over an update's rewards; zeros when there are none. */
export function outcomeOf(predictions: readonly PredictedReward[]): Outcome {
  const rewards = predictions.length;
  const mean = (value: (prediction: PredictedReward) => number) =>
    rewards === 0 ? 0 : predictions.reduce((sum, prediction) => sum + value(prediction), 0) / rewards;
  return {
    rewards,
    meanReward: mean((p) => p.reward),
    loss: mean((p) => (p.reward - p.predicted) ** 2),
    lossWithoutAdapter: mean((p) => (p.reward - p.predictedByUserMean) ** 2),
    lossOfWarmStart: mean((p) => (p.reward - p.predictedByWarmStart) ** 2),
  };
}

/**
 * An outcome as a number from 0 to 1, as the bank compares episodes: ℓ₀/(ℓ₀ + ℓ) for the loss ℓ with and ℓ₀ without the adapter. One
 * half when the adapter changed nothing, 1 when it predicted everything.
 */
export function rewardOf({ loss, lossWithoutAdapter }: Losses): number {
  const both = loss + lossWithoutAdapter;
  return both === 0 ? 0.5 : lossWithoutAdapter / both;
}

/** Whether the adapter predicted what came better than the user's mean alone. */
export function succeeded({ loss, lossWithoutAdapter }: Losses): boolean {
  return loss < lossWithoutAdapter;
}

/** Reward and success of an episode: as reported, or by its outcome. */
export function verdictOf({ report, outcome }: Episode): { reward: number; success: boolean } {
  return report ?? { reward: rewardOf(outcome), success: succeeded(outcome) };
}
