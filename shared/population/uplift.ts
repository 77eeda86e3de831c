import type { Episode } from '../episodes/episode.ts';
import { type Estimated, meanDifference, ratioOfSums } from './intervals.ts';

/** A mean with its 95 % interval over users; all null with fewer than two users. */
export interface Estimate {
  readonly mean: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** What adapters changed, from episodes alone. */
export interface Uplift {
  readonly users: number;
  readonly heldOutUsers: number;
  /**
   * Loss of the adapter minus the loss without it, relative to the latter, on rewards that neither
   * had seen: −0.1 is a loss smaller by 10 %. Includes held-out users, who have adapters that are
   * not served.
   */
  readonly loss: Estimate;
  /**
   * Mean reward of users served with adapters minus that of held-out users: the effect on
   * behaviour. A user who was both, because the share changed, counts as held out, with the rewards
   * of that time alone.
   */
  readonly reward: Estimate;
}

interface Sums {
  rewards: number;
  reward: number;
  loss: number;
  lossWithout: number;
}

const NOTHING: Estimate = { mean: null, low: null, high: null };

export function upliftOf(episodes: Iterable<Episode>): Uplift {
  const rewarded = [...episodes].filter(({ outcome }) => outcome.rewards > 0);
  const all = sumsByUser(rewarded);
  const heldOut = sumsByUser(rewarded.filter((episode) => episode.heldOut));
  const served = [...all].filter(([userKey]) => !heldOut.has(userKey)).map(([, sums]) => sums);
  return {
    users: all.size,
    heldOutUsers: heldOut.size,
    loss: relativeLoss([...all.values()]),
    reward: estimate(meanDifference(served.map(meanRewardOf), [...heldOut.values()].map(meanRewardOf))),
  };
}

function sumsByUser(episodes: readonly Episode[]): Map<string, Sums> {
  const users = new Map<string, Sums>();
  for (const { userKey, outcome } of episodes) {
    const { rewards, meanReward, loss, lossWithoutAdapter } = outcome;
    const sums = users.get(userKey) ?? { rewards: 0, reward: 0, loss: 0, lossWithout: 0 };
    sums.rewards += rewards;
    sums.reward += meanReward * rewards;
    sums.loss += loss * rewards;
    sums.lossWithout += lossWithoutAdapter * rewards;
    users.set(userKey, sums);
  }
  return users;
}

function meanRewardOf({ reward, rewards }: Sums): number {
  return reward / rewards;
}

/** Ratio of means over users of their mean losses. */
function relativeLoss(users: readonly Sums[]): Estimate {
  const without = users.map(({ lossWithout, rewards }) => lossWithout / rewards);
  if (without.every((loss) => loss === 0)) return NOTHING;
  const change = users.map(({ loss, rewards }, i) => loss / rewards - without[i]!);
  return estimate(ratioOfSums(change, without));
}

export function estimate({ effect, interval }: Estimated): Estimate {
  return interval === null ? NOTHING : { mean: effect, low: interval[0], high: interval[1] };
}
