import type { ArmEffect } from '../episodes/cell-strategy.ts';
import type { Episode } from '../episodes/episode.ts';
import { episodeReward } from '../episodes/outcome.ts';
import { mean, pairedDifference } from './intervals.ts';

/** The hyperparameter that this is about. */
export const LEARNING_RATE = 'learningRate';
/** Largest ratio of two learning rates that a user's taste can compare. */
const LARGEST_FACTOR = 4;

/** A user's updates at one learning rate, summed over rewards. */
interface Taste {
  episodes: number;
  loss: number;
  lossWithout: number;
  squares: number;
}

/** A user's tastes by learning rate; more than one when the user's learning rate changed. */
type UserTastes = ReadonlyMap<number, Taste>;

/**
 * Compares every tried learning rate with its neighbour towards the configured one. To first order
 * a user's taste is proportional to the learning rate. With e the reward minus the user's mean and
 * f the taste, a learning rate k times as large has the loss Σ(e − kf)² = Σe² − k(Σe² + Σf² − Σ(e −
 * f)²) + k²Σf². Every user with either learning rate therefore compares both on the same feedback,
 * which is far more precise than comparing users, and independent of recommendations and seasons.
 * Intervals are Student's, at 95 % for both directions together. Within a direction the first
 * uncertain step ends the path (a fixed sequence; Maurer, Hothorn & Lehmacher 1995), so that the
 * number of steps needs no correction.
 * @returns ordered from the configured value outwards, larger ones first; empty when no episode
 * records taste
 */
export function learningRateEffects(
  episodes: readonly Episode[],
  configured: number | undefined,
): ArmEffect[] {
  const users = tastesOf(episodes);
  if (configured === undefined || users.length === 0) return [];
  const rates = [...new Set([configured, ...users.flatMap((user) => [...user.keys()])])].sort(
    (a, b) => a - b,
  );
  const start = rates.indexOf(configured);
  const ways = [rates.slice(start), rates.slice(0, start + 1).reverse()];
  return ways.flatMap((way) => way.slice(1).map((value, i) => learningRateEffect(users, way[i]!, value)));
}

function learningRateEffect(users: readonly UserTastes[], from: number, to: number): ArmEffect {
  const own = users.filter((user) => user.has(to));
  const others = users.filter((user) => user.has(from) && !user.has(to));
  const compared = Math.max(to / from, from / to) <= LARGEST_FACTOR ? [...own, ...others] : [];
  const differences = compared.map(
    (user) => rewardAt(user, [from, to], to) - rewardAt(user, [from, to], from),
  );
  return {
    hyperparameter: LEARNING_RATE,
    value: to,
    defaultValue: from,
    episodes: own.reduce((sum, user) => sum + user.get(to)!.episodes, 0),
    users: own.length,
    defaultUsers: others.length,
    meanReward: mean(own.map((user) => rewardAt(user, [to], to))),
    ...pairedDifference(differences, 2),
  };
}

/**
 * The user's reward over the updates at some learning rates, had their learning rates been another.
 */
function rewardAt(user: UserTastes, rates: readonly number[], other: number): number {
  let sum = 0;
  let sumWithout = 0;
  for (const rate of rates) {
    const taste = user.get(rate);
    if (taste === undefined) continue;
    const { loss, lossWithout, squares } = taste;
    const k = other / rate;
    sum += Math.max(0, lossWithout - k * (lossWithout + squares - loss) + k * k * squares);
    sumWithout += lossWithout;
  }
  return episodeReward({ loss: sum, lossWithoutAdapter: sumWithout });
}

function tastesOf(episodes: readonly Episode[]): UserTastes[] {
  const users = new Map<string, Map<number, Taste>>();
  for (const { userKey, outcome, hyperparameters } of episodes) {
    const rate = hyperparameters?.[LEARNING_RATE];
    const { taste, loss, rewards } = outcome;
    if (rate === undefined || taste === undefined || rewards === 0) continue;
    const user = users.get(userKey) ?? new Map<number, Taste>();
    const sums = user.get(rate) ?? { episodes: 0, loss: 0, lossWithout: 0, squares: 0 };
    sums.episodes += 1;
    sums.loss += rewards * loss;
    sums.lossWithout += rewards * taste.lossWithout;
    sums.squares += rewards * taste.meanSquare;
    users.set(userKey, user.set(rate, sums));
  }
  return [...users.values()];
}
