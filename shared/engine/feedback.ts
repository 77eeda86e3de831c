import { InvalidInputError, shown } from '../errors.ts';
import { rewardOfWatch } from '../feedback/watch-reward.ts';
import { forward, type LoraAdapter, userPart } from '../lora/forward.ts';
import { checkInteractions, type TrainingInteraction } from '../lora/training.ts';

/** A user's watch signals for an item. */
export interface WatchEvent {
  /** Share of the item that was watched, 0 to 1. */
  completionRate: number;
  /** Stars given, 0 to 5. */
  rating?: number | undefined;
  isRewatch?: boolean | undefined;
  [detail: string]: unknown;
}

/** Feedback on one item, for `updateAdapter`. */
export interface AdapterFeedback {
  /** x, length d, of any norm. */
  contentEmbedding: Float32Array;
  /** Target of the user's embedding of the item, instead of a reward. */
  targetEmbedding?: Float32Array | undefined;
  /** 0 to 1. */
  reward: number;
  watchEvent?: WatchEvent;
  timestamp?: Date;
}

/**
 * Feedback with the reward of a watch event, min(1, 0.5·completionRate + 0.3·rating/5 +
 * 0.2·isRewatch).
 * @param contentEmbedding the item's embedding
 * @param targetEmbedding target of the user's embedding of the item, if known
 * @throws InvalidInputError when completionRate is not in [0, 1] or rating not in [0, 5]
 */
export function createAdapterFeedback(
  watchEvent: WatchEvent,
  contentEmbedding: Float32Array,
  targetEmbedding?: Float32Array,
): AdapterFeedback & { watchEvent: WatchEvent; timestamp: Date } {
  const { completionRate, rating = 0, isRewatch = false } = watchEvent;
  checkRange('watchEvent.completionRate', completionRate, 1);
  checkRange('watchEvent.rating', rating, 5);
  const reward = rewardOfWatch({ completionRate, rating, isRewatch });
  return { contentEmbedding, targetEmbedding, reward, watchEvent, timestamp: new Date() };
}

/**
 * Feedback for the learners.
 * @param dim length d of the embeddings
 * @throws InvalidInputError naming the malformed field
 */
export function interactionsOf(feedback: readonly AdapterFeedback[], dim: number): TrainingInteraction[] {
  const interactions = feedback.map(
    ({ contentEmbedding, targetEmbedding, reward }, i): TrainingInteraction => {
      const embedding = float32(contentEmbedding, `feedback[${i}].contentEmbedding`);
      if (targetEmbedding === undefined) return { embedding, itemEffect: 0, reward };
      const target = float32(targetEmbedding, `feedback[${i}].targetEmbedding`);
      return { embedding, itemEffect: 0, target };
    },
  );
  checkInteractions(interactions, dim);
  return interactions;
}

/**
 * Mean loss of an adapter on feedback, without a unit: of a reward (r − r̂)², of a target |y −
 * t|²/|x|². A zero vector has only the loss of its reward.
 * @param meanReward prediction for a user without an adapter
 */
export function lossOf(
  adapter: LoraAdapter | null,
  interactions: readonly TrainingInteraction[],
  meanReward: number,
): number {
  const losses = interactions.map((interaction) => {
    const { embedding: x } = interaction;
    if ('reward' in interaction) {
      return (interaction.reward - meanReward - (adapter === null ? 0 : userPart(adapter, x))) ** 2;
    }
    const square = x.reduce((sum, value) => sum + value * value, 0);
    if (square === 0) return 0;
    const y = adapter === null ? x : forward(adapter, x);
    return y.reduce((sum, value, i) => sum + (value - interaction.target[i]!) ** 2, 0) / square;
  });
  return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
}

function float32(value: unknown, field: string): Float32Array {
  if (value instanceof Float32Array) return value;
  throw new InvalidInputError(field, shown(value), 'a Float32Array');
}

function checkRange(field: string, value: unknown, maximum: number): void {
  if (typeof value === 'number' && value >= 0 && value <= maximum) return;
  throw new InvalidInputError(field, shown(value), `a number from 0 to ${maximum}`);
}
