import { ndcg, pairwiseAuc } from '../../../cli/replay/datasets/ranking-metrics.ts';
import type { FeedbackEvent } from '../../../shared/feedback/event.ts';
import type { MemoryDeployment } from './deployment.ts';
import type { Batch, Split } from './split.ts';

/** What one row got out of one user. */
export interface UserResult {
  readonly userId: string;
  /** Mean squared error of predicted reward per batch, each predicted before it is learned. */
  readonly losses: number[];
  /**
   * Ranking of the held-out interactions after the user's last batch; undefined when all ratings
   * are the same.
   */
  auc: number | undefined;
  ndcg: number | undefined;
}

/** A contender predicts rewards and learns from them. */
export interface Contender {
  /**
   * Learns a batch after predicting it.
   * @returns mean squared error of the predictions
   */
  learn(batch: Batch): Promise<number>;
  /** Predicted rewards of items, in order. */
  scores(userId: string, itemIds: readonly string[]): Promise<number[]>;
}

/**
 * Plays all batches in order of time; each user's held-out items are ranked right after the last
 * batch of that user.
 */
export async function runContender(
  { batches, heldOut }: Pick<Split, 'batches' | 'heldOut'>,
  contender: Contender,
): Promise<UserResult[]> {
  const results = new Map<string, UserResult>();
  for (const batch of batches) {
    const { userId } = batch;
    let result = results.get(userId);
    if (result === undefined) {
      result = { userId, losses: [], auc: undefined, ndcg: undefined };
      results.set(userId, result);
    }
    result.losses.push(await contender.learn(batch));
    if (!batch.last) continue;
    const held = heldOut.get(userId) ?? [];
    const scores = await contender.scores(
      userId,
      held.map(({ itemId }) => itemId),
    );
    const ratings = held.map(({ rating }) => rating!);
    result.auc = pairwiseAuc(scores, ratings);
    result.ndcg = ndcg(
      scores,
      ratings.map((rating) => 2 ** rating - 1),
    );
  }
  return [...results.values()].sort((a, b) => (a.userId < b.userId ? -1 : 1));
}

/**
 * A deployment as a contender.
 * @param withItemIds whether items are identified beyond their embeddings
 */
export function deployed(
  deployment: MemoryDeployment,
  items: Split['items'],
  { withItemIds = true }: { withItemIds?: boolean } = {},
): Contender {
  return {
    learn: async (batch) => (await deployment.update(eventOf(batch, items, withItemIds))).loss,
    scores: (userId, itemIds) =>
      deployment.scores(
        userId,
        itemIds.map((itemId) => ({ ...(withItemIds ? { itemId } : {}), embedding: items.get(itemId)! })),
      ),
  };
}

export function eventOf(batch: Batch, items: Split['items'], withItemIds: boolean): FeedbackEvent {
  return {
    schemaVersion: 1,
    eventId: `${batch.userId}-${batch.index}`,
    userId: batch.userId,
    occurredAt: new Date(batch.at).toISOString(),
    interactions: batch.interactions.map(({ itemId, reward }) => ({
      ...(withItemIds ? { itemId } : {}),
      embedding: items.get(itemId)!,
      reward,
    })),
  };
}
