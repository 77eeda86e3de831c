import type { Contender } from './run.ts';
import type { Batch, Split } from './split.ts';

const USER_SHRINKAGE = 20;
const ITEM_SHRINKAGE = 5;

/**
 * Predictions without learning: the user's shrunken mean reward so far, (Σr + 20·g0)/(n + 20). With
 * `itemMeans` it adds the other half's opinion of the item beyond their own means, Σ(r − that
 * user's mean)/(n_i + 5).
 */
export function userMeans(meanReward: number, itemMeans: Split['itemMeans'] = new Map()): Contender {
  const users = new Map<string, { sum: number; count: number }>();
  const userMean = (userId: string) => {
    const { sum, count } = users.get(userId) ?? { sum: 0, count: 0 };
    return (sum + USER_SHRINKAGE * meanReward) / (count + USER_SHRINKAGE);
  };
  const itemMean = (itemId: string) => {
    const { sum, count } = itemMeans.get(itemId) ?? { sum: 0, count: 0 };
    return sum / (count + ITEM_SHRINKAGE);
  };
  return {
    async learn({ userId, interactions }: Batch) {
      const expected = userMean(userId);
      const { sum, count } = users.get(userId) ?? { sum: 0, count: 0 };
      let loss = 0;
      let rewards = 0;
      for (const { itemId, reward } of interactions) {
        loss += (reward - expected - itemMean(itemId)) ** 2;
        rewards += reward;
      }
      users.set(userId, { sum: sum + rewards, count: count + interactions.length });
      return loss / interactions.length;
    },
    scores: async (userId, itemIds) => itemIds.map((itemId) => userMean(userId) + itemMean(itemId)),
  };
}
