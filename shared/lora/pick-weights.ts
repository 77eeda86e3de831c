import { shrunkenMean } from './prequential.ts';
import type { Statistics } from './statistics.ts';

/** Mean and standard deviation of the rewards of a deployment. */
export interface RewardSpread {
  readonly mean: number;
  /** Above 0. */
  readonly deviation: number;
}

/** How much a reward says that an item was picked: (reward − from)/unit. */
export interface PickWeights {
  readonly from: number;
  readonly unit: number;
}

/**
 * A pick is a reward above what the user usually gives. Its weight grows from 0 at one standard
 * deviation below the user's mean, which ranks best by `npm run bench:ranking`; smaller rewards
 * speak against an item. A reward of 0 never does, because most of what is shown in vain was not
 * even considered. With rewards of 1 and 0, fewer than half of them 1, the weights are the rewards.
 * The unit makes Σ weight² about Σ weight.
 * @param rewards null where users only pick items; then the weights are the rewards
 */
export function pickWeights(
  user: Pick<Statistics, 'rewardSum' | 'count'>,
  rewards: RewardSpread | null,
): PickWeights {
  if (rewards === null) return { from: 0, unit: 1 };
  const { mean, deviation } = rewards;
  const above = Math.min(mean, deviation);
  return {
    from: Math.max(0, shrunkenMean(user, mean) - deviation),
    unit: above + deviation ** 2 / above,
  };
}

/**
 * Whether the average user's weights are in proportion to the rewards, so that no reward speaks
 * against an item: where users only pick items, and where rewards spread as widely as their mean,
 * as with clicks among more items shown in vain.
 */
export function rewardsAreWeights(rewards: RewardSpread | null): boolean {
  return rewards === null || rewards.mean <= rewards.deviation;
}

/**
 * Mean weight of an item's first rewards by every user.
 * @param item number of these rewards, and their sum beyond what their users were expected to give
 */
export function meanPickWeight(
  { count, sum }: { readonly count: number; readonly sum: number },
  rewards: RewardSpread | null,
): number {
  if (rewards === null) return 1;
  const { mean, deviation } = rewards;
  const above = Math.min(mean, deviation);
  return Math.max(0, above + sum / count) / (above + deviation ** 2 / above);
}
