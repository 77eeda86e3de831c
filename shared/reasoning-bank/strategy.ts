import { armEffects } from './arm-effects.ts';
import type { ArmEffect, Hint, Strategy } from './bank.ts';
import type { Episode } from './episode.ts';
import { writeHint } from './hints.ts';
import type { PriorSummary } from './prior-summary.ts';

/** Users that a value must have been tried on, and the default as well, before it is recommended. */
const MIN_USERS = 10;
/** Users that make the confidence one half. */
const HALF_CONFIDENCE_USERS = 20;

/**
 * What episodes of one cell say should be done: the value whose effect is surest, where all of its interval lies above 0.
 * @param defaults configured values; where left out, the most used ones
 */
export function recommend(
  episodes: readonly Episode[],
  defaults: Readonly<Record<string, number>>,
): Pick<Strategy, 'hints' | 'causality' | 'confidence' | 'recommendation'> {
  const causality = armEffects(episodes, defaults);
  const best = new Map<string, ArmEffect>();
  for (const arm of causality) {
    const known = best.get(arm.hyperparameter);
    if (isBetter(arm) && (known === undefined || lowest(arm) > lowest(known)))
      best.set(arm.hyperparameter, arm);
  }
  const hints = [...best.values()].map(
    (evidence): Hint => ({ hyperparameter: evidence.hyperparameter, value: evidence.value, evidence }),
  );
  const users =
    hints.length > 0
      ? Math.min(...hints.map(({ evidence }) => evidence.users))
      : new Set(episodes.map(({ userKey }) => userKey)).size;
  return {
    hints,
    causality,
    confidence: users / (users + HALF_CONFIDENCE_USERS),
    recommendation: hints.length > 0 ? hints.map(inWords).join(' ') : keepInWords(episodes.length, users),
  };
}

/** A sentence about what new users start from, in which there are no hints. */
export function priorInWords(prior: PriorSummary | null): string[] {
  const evidence = prior?.evidence ?? null;
  if (prior === null || evidence === null) return [];
  const { users, interactions } = evidence;
  return [`New users start from what ${users} users showed in ${interactions} interactions.`];
}

function isBetter({ users, defaultUsers, interval }: ArmEffect): boolean {
  return users >= MIN_USERS && defaultUsers >= MIN_USERS && interval !== null && interval[0] > 0;
}

function lowest({ interval }: ArmEffect): number {
  return interval?.[0] ?? Number.NEGATIVE_INFINITY;
}

function inWords({ hyperparameter, value, evidence }: Hint): string {
  const { episodes, users, effect, interval, defaultValue } = evidence;
  const [low, high] = interval ?? [effect, effect];
  return (
    `${writeHint(hyperparameter, value)} (${episodes} episodes of ${users} users: reward ${signed(effect)} ` +
    `against ${defaultValue}, 95 % interval ${signed(low)} to ${signed(high)}).`
  );
}

function keepInWords(episodes: number, users: number): string {
  if (episodes === 0) return 'Keep the configured values: nothing like this has been seen yet.';
  return `Keep the configured values: in ${episodes} episodes of ${users} users, nothing else did better beyond chance.`;
}

function signed(value: number): string {
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)}`;
}
