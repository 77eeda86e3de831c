import type { Episode } from './episode.ts';

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
const Z = 1.96;

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
    reward: differenceOfMeans(served, heldOut),
  };
}

function meanRewardOf({ reward, rewards }: UserSums): number {
  return reward / rewards;
}

/** Ratio of means over users of their mean losses; its error by linearisation (Cochran, Sampling Techniques, 1977, ch. 6). */
function relativeLoss(users: readonly UserSums[]): Estimate {
  if (users.length < 2) return NOTHING;
  const without = users.map(({ lossWithout, rewards }) => lossWithout / rewards);
  const change = users.map(({ loss, rewards }, i) => loss / rewards - without[i]!);
  const base = meanOf(without);
  if (base === 0) return NOTHING;
  const ratio = meanOf(change) / base;
  const residuals = change.map((value, i) => value - ratio * without[i]!);
  return around(ratio, Math.sqrt(varianceOf(residuals) / users.length) / base);
}

/** Two groups of different variances (Welch 1947). */
function differenceOfMeans(a: readonly number[], b: readonly number[]): Estimate {
  if (a.length < 2 || b.length < 2) return NOTHING;
  return around(meanOf(a) - meanOf(b), Math.sqrt(varianceOf(a) / a.length + varianceOf(b) / b.length));
}

function around(mean: number, error: number): Estimate {
  return { mean, low: mean - Z * error, high: mean + Z * error };
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function varianceOf(values: readonly number[]): number {
  const mean = meanOf(values);
  return values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
}
