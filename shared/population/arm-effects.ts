import type { ArmEffect } from '../episodes/cell-strategy.ts';
import type { Episode } from '../episodes/episode.ts';
import { verdictOf } from '../episodes/outcome.ts';
import { mean, meanDifference } from './intervals.ts';

/** Most values of one hyperparameter to compare: the most used. */
const MAX_ARMS = 16;

interface Arm {
  readonly value: number;
  readonly episodes: number;
  readonly meanReward: number;
  /** Mean reward of each user. */
  readonly userMeans: readonly number[];
}

/**
 * The effect of each tried value of a hyperparameter on the reward, against the default value. The
 * unit is the user, not the episode, because episodes of one user are correlated. Intervals are
 * Welch's (1947), at 95 % for all arms of a hyperparameter together (Bonferroni).
 * @param defaults default value by hyperparameter; the most used value where it is missing
 */
export function armEffects(
  episodes: readonly Episode[],
  defaults: Readonly<Record<string, number>> = {},
): ArmEffect[] {
  const names = new Set(episodes.flatMap(({ hyperparameters = {} }) => Object.keys(hyperparameters)));
  return [...names].sort().flatMap((hyperparameter) => {
    const arms = armsOf(episodes, hyperparameter);
    const configured = defaults[hyperparameter];
    const base = configured === undefined ? arms[0] : arms.find(({ value }) => sameValue(value, configured));
    if (base === undefined) return [];
    const others = arms.filter((arm) => arm !== base).slice(0, MAX_ARMS);
    return others.map((arm) => ({
      hyperparameter,
      value: arm.value,
      defaultValue: base.value,
      episodes: arm.episodes,
      users: arm.userMeans.length,
      defaultUsers: base.userMeans.length,
      meanReward: arm.meanReward,
      ...meanDifference(arm.userMeans, base.userMeans, others.length),
    }));
  });
}

/** The arms of a hyperparameter, the most used first. */
function armsOf(episodes: readonly Episode[], hyperparameter: string): Arm[] {
  const tried = episodes.filter(({ hyperparameters = {} }) => Object.hasOwn(hyperparameters, hyperparameter));
  return [...Map.groupBy(tried, (episode) => episode.hyperparameters![hyperparameter]!)]
    .map(([value, group]) => {
      const byUser = Map.groupBy(group, ({ userKey }) => userKey);
      return {
        value,
        episodes: group.length,
        meanReward: mean(group.map((episode) => verdictOf(episode).reward)),
        userMeans: [...byUser.values()].map((own) => mean(own.map((episode) => verdictOf(episode).reward))),
      };
    })
    .sort((a, b) => b.episodes - a.episodes || a.value - b.value);
}

/** Equal up to rounding: a value may have been computed, 0.1·3. */
function sameValue(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}
