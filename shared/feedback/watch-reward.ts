import type { WatchSignals } from './event-schema.ts';

/**
 * The reward of watch signals, from 0 to 1: min(1, 0.5·completionRate + 0.3·rating/5 +
 * 0.2·isRewatch).
 */
export function rewardOfWatch({ completionRate, rating = 0, isRewatch = false }: WatchSignals): number {
  return Math.min(1, 0.5 * completionRate + (0.3 * rating) / 5 + (isRewatch ? 0.2 : 0));
}
