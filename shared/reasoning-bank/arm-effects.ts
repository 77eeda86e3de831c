import type { ArmEffect } from './bank.ts';
import type { Episode } from './episode.ts';
import { verdictOf } from './outcome.ts';

/** Values of one hyperparameter that are compared at most: the most used. */
const MAX_ARMS = 16;
const CONFIDENCE = 0.95;

interface Arm {
  readonly value: number;
  readonly episodes: number;
  readonly meanReward: number;
  /** Mean reward of each user. */
  readonly userMeans: readonly number[];
}

/**
 * What every value that a hyperparameter was tried at did to the reward, against the default value. Users count, not episodes: those of
 * one user are alike. Intervals are Welch's (1947), at 95 % for all arms of a hyperparameter together (Bonferroni).
 * @param defaults value by hyperparameter; where it is left out, the most used one
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
      ...difference(arm.userMeans, base.userMeans, others.length),
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

function difference(
  arm: readonly number[],
  base: readonly number[],
  comparisons: number,
): Pick<ArmEffect, 'effect' | 'interval'> {
  const effect = mean(arm) - mean(base);
  if (arm.length < 2 || base.length < 2) return { effect, interval: null };
  const a = squaredError(arm);
  const b = squaredError(base);
  const error = a + b;
  if (error === 0) return { effect, interval: [effect, effect] };
  const freedom = error ** 2 / (a ** 2 / (arm.length - 1) + b ** 2 / (base.length - 1));
  const margin = studentQuantile(1 - (1 - CONFIDENCE) / comparisons / 2, freedom) * Math.sqrt(error);
  return { effect, interval: [effect - margin, effect + margin] };
}

/** Mean of paired differences with Student's 95 % interval, for so many comparisons together (Bonferroni). */
export function pairedEffect(
  differences: readonly number[],
  comparisons: number,
): Pick<ArmEffect, 'effect' | 'interval'> {
  if (differences.length < 2) return { effect: differences[0] ?? 0, interval: null };
  const effect = mean(differences);
  const quantile = studentQuantile(1 - (1 - CONFIDENCE) / comparisons / 2, differences.length - 1);
  const margin = quantile * Math.sqrt(squaredError(differences));
  return { effect, interval: [effect - margin, effect + margin] };
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Square of the standard error of a mean. */
function squaredError(values: readonly number[]): number {
  const centre = mean(values);
  return values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / (values.length - 1) / values.length;
}

/** Equal up to rounding: a value may have been computed, 0.1·3. */
function sameValue(a: number, b: number): boolean {
  return Math.abs(a - b) <= 1e-9 * Math.max(Math.abs(a), Math.abs(b));
}

/**
 * Quantile of Student's t. Abramowitz & Stegun (1964), 26.7.5 on 26.2.23: within 1 % from 4 degrees of freedom on; below, an upper bound
 * by the exact quantile of one or two degrees.
 * @param probability above one half
 */
export function studentQuantile(probability: number, freedom: number): number {
  if (freedom < 2) return Math.tan(Math.PI * (probability - 0.5));
  if (freedom < 4) {
    const alpha = 4 * probability * (1 - probability);
    return 2 * (probability - 0.5) * Math.sqrt(2 / alpha);
  }
  const t = Math.sqrt(-2 * Math.log(1 - probability));
  const z =
    t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  const z2 = z * z;
  return (
    z *
    (1 +
      (z2 + 1) / (4 * freedom) +
      ((5 * z2 + 16) * z2 + 3) / (96 * freedom ** 2) +
      (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * freedom ** 3))
  );
}
