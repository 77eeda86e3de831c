import type { Episode } from './episode.ts';
import { type Estimated, meanDifference, ratioOfSums } from './intervals.ts';

/** A mean with its 95 % interval over users; all null when fewer than two users say anything of it. */
export interface Estimate {
  readonly mean: number | null;
  readonly low: number | null;
  readonly high: number | null;
}

/** What adapters are worth, from episodes alone. */
export interface Uplift {
  readonly users: number;
  readonly heldOutUsers: number;
  /**
   * Loss of the adapter less the loss without it, on rewards that neither had seen, relative to the latter: −0.1 is a loss smaller by
   * 10 %. Of all users, since those held out have adapters too, which only do not serve them.
   */
  readonly loss: Estimate;
  /** Mean reward of users served with adapters less that of users held out: what it did to behaviour. */
  readonly reward: Estimate;
}

interface UserSums {
  rewards: number;
  reward: number;
  loss: number;
  lossWithout: number;
}

const NOTHING: Estimate = { mean: null, low: null, high: null };

/** @param isHeldOut whether the user with this key is served without adapter */
export function upliftOf(episodes: Iterable<Episode>, isHeldOut: (userKey: string) => boolean): Uplift {
  const users = new Map<string, UserSums>();
  for (const { userKey, outcome } of episodes) {
    const { rewards, meanReward, loss, lossWithoutAdapter } = outcome;
    if (rewards === 0) continue;
    const sums = users.get(userKey) ?? { rewards: 0, reward: 0, loss: 0, lossWithout: 0 };
    sums.rewards += rewards;
    sums.reward += meanReward * rewards;
    sums.loss += loss * rewards;
    sums.lossWithout += lossWithoutAdapter * rewards;
    users.set(userKey, sums);
  }
  const all = [...users];
  const heldOut = all.filter(([key]) => isHeldOut(key)).map(([, sums]) => meanRewardOf(sums));
  const served = all.filter(([key]) => !isHeldOut(key)).map(([, sums]) => meanRewardOf(sums));
  return {
    users: all.length,
    heldOutUsers: heldOut.length,
    loss: relativeLoss(all.map(([, sums]) => sums)),
    reward: estimate(meanDifference(served, heldOut)),
  };
}

function meanRewardOf({ reward, rewards }: UserSums): number {
  return reward / rewards;
}

/** Ratio of means over users of their mean losses. */
function relativeLoss(users: readonly UserSums[]): Estimate {
  const without = users.map(({ lossWithout, rewards }) => lossWithout / rewards);
  if (without.every((loss) => loss === 0)) return NOTHING;
  const change = users.map(({ loss, rewards }, i) => loss / rewards - without[i]!);
  return estimate(ratioOfSums(change, without));
}

function estimate({ effect, interval }: Estimated): Estimate {
  return interval === null ? NOTHING : { mean: effect, low: interval[0], high: interval[1] };
}
