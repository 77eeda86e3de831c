import type { PredictedReward } from '../lora/prequential.ts';
import type { Episode, Outcome } from './episode.ts';

/** With and without the adapter. */
type Losses = Pick<Outcome, 'loss' | 'lossWithoutAdapter'>;

/**
 * Test-then-train over an update's rewards; zeros when there are none.
 * @param withTaste whether to include the effect of the taste
 */
export function outcomeOf(predictions: readonly PredictedReward[], withTaste = false): Outcome {
  const rewards = predictions.length;
  const mean = (value: (prediction: PredictedReward) => number) =>
    rewards === 0 ? 0 : predictions.reduce((sum, prediction) => sum + value(prediction), 0) / rewards;
  return {
    rewards,
    meanReward: mean((p) => p.reward),
    loss: mean((p) => (p.reward - p.predicted) ** 2),
    lossWithoutAdapter: mean((p) => (p.reward - p.predictedByUserMean) ** 2),
    lossOfWarmStart: mean((p) => (p.reward - p.predictedByWarmStart) ** 2),
    ...(withTaste
      ? {
          taste: {
            lossWithout: mean((p) => (p.reward - p.predicted + tasteOf(p)) ** 2),
            meanSquare: mean((p) => tasteOf(p) ** 2),
          },
        }
      : {}),
  };
}

/**
 * The taste's part of a prediction, beyond the user's mean and the item's effect: itemResidual −
 * (reward − predicted).
 */
function tasteOf({ reward, itemResidual, predictedByUserMean }: PredictedReward): number {
  return reward - itemResidual - predictedByUserMean;
}

/**
 * Reward of an adapter that predicts no better than none: the least reward in the engine's queries.
 */
const REWARD_OF_NO_GAIN = 0.7;

/**
 * An outcome as a number from 0 to 1, for comparing episodes: 0.7^(ℓ/ℓ₀) for the loss ℓ with and ℓ₀
 * without the adapter. 1 when the adapter predicted everything, 0.7 when it changed nothing,
 * towards 0 the more harm it did.
 */
export function episodeReward({ loss, lossWithoutAdapter }: Losses): number {
  if (loss === lossWithoutAdapter) return REWARD_OF_NO_GAIN;
  return REWARD_OF_NO_GAIN ** (loss / lossWithoutAdapter);
}

/** Whether the adapter predicted better than the user's mean alone. */
export function succeeded({ loss, lossWithoutAdapter }: Losses): boolean {
  return loss < lossWithoutAdapter;
}

/** Reward and success of an episode, from its report or its outcome. */
export function verdictOf({ report, outcome }: Episode): { reward: number; success: boolean } {
  return report ?? { reward: episodeReward(outcome), success: succeeded(outcome) };
}
