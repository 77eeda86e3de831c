import { RECENT_ITEMS_KEPT, type RecentItems, rowOfItem } from './recent-items.ts';

/**
 * Variance of the reward noise over the variance of users' agreement: Σ(β − β̄)² at which a user's
 * own rewards tell as much as the expectation that users agree.
 */
const AGREEMENT_KNOWN = 0.05;
/**
 * A user agrees when their rewards follow the effects of items by at least so much, where 1 is
 * average.
 */
const LEAST_AGREEMENT = 0.5;

/**
 * Whether a user's rewards follow what others think of the items: the slope of the user's rewards
 * over the item effects known when they were learned, shrunken towards 1. Users who invert, who
 * give everything the same reward, or rewards at random, do not agree, and their feedback is not
 * counted for items.
 */
export function agreesWithOthers({ keys, sums }: RecentItems): boolean {
  let [count, rewards, effects, products, squares] = [0, 0, 0, 0, 0];
  for (let i = 0; i < keys.length; i++) {
    const [n, reward, effect] = [sums[3 * i]!, sums[3 * i + 1]!, sums[3 * i + 2]!];
    if (n === 0) continue;
    count += n;
    rewards += reward;
    effects += effect;
    products += (reward * effect) / n;
    squares += (effect * effect) / n;
  }
  if (count === 0) return true;
  const covariance = products - (rewards * effects) / count;
  const variance = squares - (effects * effects) / count;
  return AGREEMENT_KNOWN + covariance >= LEAST_AGREEMENT * (AGREEMENT_KNOWN + variance);
}

/**
 * Whether a user's feedback on an item counts for the item: once per item, and for as many items as
 * the adapter remembers, so that no user has more than that many votes in all.
 */
export function hasVote(recent: RecentItems, key: bigint): boolean {
  return recent.keys.length < RECENT_ITEMS_KEPT && rowOfItem(recent, key) === -1;
}
