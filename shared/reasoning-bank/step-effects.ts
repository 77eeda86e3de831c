import type { ArmEffect } from './bank.ts';
import type { Episode } from './episode.ts';
import { mean, pairedDifference } from './intervals.ts';
import { rewardOf } from './outcome.ts';

/** The hyperparameter that this is about. */
export const STEP_SIZE = 'learningRate';
/** How much larger or smaller a step may be for a user's taste to speak of it. */
const LARGEST_FACTOR = 4;

/** One user's updates at one step size, summed over rewards. */
interface UserTaste {
  readonly rate: number;
  episodes: number;
  loss: number;
  lossWithout: number;
  squares: number;
}

/**
 * What every step size that was tried is worth against its neighbour on the way to the configured one. To first order a user's taste
 * grows in proportion to the steps it was learned by, so with e what is to be predicted beyond the user's mean and f the taste, steps k
 * times as large lose Σ(e − kf)² = Σe² − k(Σe² + Σf² − Σ(e − f)²) + k²Σf²: every user with either value compares both on the same
 * feedback. That is far surer than comparing users, and no recommendation or season comes between. Intervals are Student's, at 95 % for
 * both directions together; within a direction the first step in doubt ends the way (a fixed sequence; Maurer, Hothorn & Lehmacher 1995),
 * so they need no correction for their number.
 * @returns ordered from the configured value outwards, larger ones first; empty without episodes that tell of taste
 */
export function stepEffects(episodes: readonly Episode[], configured: number | undefined): ArmEffect[] {
  const users = tastesOf(episodes);
  if (configured === undefined || users.length === 0) return [];
  const rates = [...new Set([configured, ...users.map(({ rate }) => rate)])].sort((a, b) => a - b);
  const start = rates.indexOf(configured);
  const ways = [rates.slice(start), rates.slice(0, start + 1).reverse()];
  return ways.flatMap((way) => way.slice(1).map((value, i) => stepEffect(users, way[i]!, value)));
}

function stepEffect(users: readonly UserTaste[], from: number, to: number): ArmEffect {
  const isNear = ({ rate }: UserTaste) => rate === from || rate === to;
  const near = Math.max(to / from, from / to) <= LARGEST_FACTOR ? users.filter(isNear) : [];
  const differences = near.map((user) => rewardAt(user, to) - rewardAt(user, from));
  const own = users.filter(({ rate }) => rate === to);
  return {
    hyperparameter: STEP_SIZE,
    value: to,
    defaultValue: from,
    episodes: own.reduce((sum, { episodes }) => sum + episodes, 0),
    users: own.length,
    defaultUsers: users.filter(({ rate }) => rate === from).length,
    meanReward: mean(own.map((user) => rewardAt(user, to))),
    ...pairedDifference(differences, 2),
  };
}

/** The user's reward, had the steps been of another size. */
function rewardAt({ rate, loss, lossWithout, squares }: UserTaste, other: number): number {
  const k = other / rate;
  const scaled = lossWithout - k * (lossWithout + squares - loss) + k * k * squares;
  return rewardOf({ loss: Math.max(0, scaled), lossWithoutAdapter: lossWithout });
}

function tastesOf(episodes: readonly Episode[]): UserTaste[] {
  const users = new Map<string, UserTaste>();
  for (const { userKey, outcome, hyperparameters } of episodes) {
    const rate = hyperparameters?.[STEP_SIZE];
    const { taste, loss, rewards } = outcome;
    if (rate === undefined || taste === undefined || rewards === 0) continue;
    const key = `${userKey} ${rate}`;
    const user = users.get(key) ?? { rate, episodes: 0, loss: 0, lossWithout: 0, squares: 0 };
    user.episodes += 1;
    user.loss += rewards * loss;
    user.lossWithout += rewards * taste.lossWithout;
    user.squares += rewards * taste.meanSquare;
    users.set(key, user);
  }
  return [...users.values()];
}
