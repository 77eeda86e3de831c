import type { ArmEffect, CellStrategy, Hint, PriorSummary } from '../episodes/cell-strategy.ts';
import type { Episode } from '../episodes/episode.ts';
import { armEffects } from './arm-effects.ts';
import { writeHint } from './hints.ts';
import { LEARNING_RATE, learningRateEffects } from './learning-rate-effects.ts';

/** Users that a value must have been tried on, and the default as well, before it is recommended. */
const MIN_USERS = 10;
/** Users that make the confidence one half. */
const HALF_CONFIDENCE_USERS = 20;

/**
 * What episodes of one cell say should be done: the value whose effect is surest, where all of its interval lies above 0. Learning rates are
 * judged by the users' tastes, where the episodes tell of these: from the configured one outwards, as far as every step is for the better.
 * One look is right at 95 %; who looks often will now and then be misled, until the next look.
 * @param defaults configured values; where left out, the most used ones
 */
export function recommend(
  episodes: readonly Episode[],
  defaults: Readonly<Record<string, number>>,
): Pick<CellStrategy, 'hints' | 'confidence' | 'recommendation'> & {
  readonly causality: readonly ArmEffect[];
} {
  const steps = learningRateEffects(episodes, defaults[LEARNING_RATE]);
  const others = armEffects(episodes, defaults).filter(
    (arm) => steps.length === 0 || arm.hyperparameter !== LEARNING_RATE,
  );
  const causality = [...steps, ...others];
  const best = new Map<string, ArmEffect>();
  for (const step of steps) {
    if (isForTheBetter(step) && isNext(step, best.get(LEARNING_RATE), defaults[LEARNING_RATE]!))
      best.set(LEARNING_RATE, step);
  }
  for (const arm of others) {
    const known = best.get(arm.hyperparameter);
    if (isBetter(arm) && (known === undefined || lowest(arm) > lowest(known)))
      best.set(arm.hyperparameter, arm);
  }
  const hints = [...best.values()].map(
    (evidence): Hint => ({ hyperparameter: evidence.hyperparameter, value: evidence.value, evidence }),
  );
  const users =
    hints.length > 0
      ? Math.min(
          ...hints.map(
            ({ evidence }) => evidence.users + (steps.includes(evidence) ? evidence.defaultUsers : 0),
          ),
        )
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

/** Whether a step goes on from where the way has come: from the configured value, or from the last step in its direction. */
function isNext(
  { value, defaultValue }: ArmEffect,
  last: ArmEffect | undefined,
  configured: number,
): boolean {
  if (last === undefined) return defaultValue === configured;
  return defaultValue === last.value && value > defaultValue === last.value > last.defaultValue;
}

/** Why a step, or one that does not lead on from the steps before it, is not recommended. */
export function objectionToLearningRate(step: ArmEffect): string {
  const { users, defaultUsers, defaultValue, effect, interval } = step;
  if (users + defaultUsers < MIN_USERS) {
    return `${users + defaultUsers} users of this value or ${defaultValue}, expected at least ${MIN_USERS}`;
  }
  if (isForTheBetter(step)) return `better than ${defaultValue}, which is not recommended`;
  const [low, high] = interval ?? [effect, effect];
  return `reward ${signed(effect)} against ${defaultValue}, 95 % interval ${signed(low)} to ${signed(high)}`;
}

function isForTheBetter({ users, defaultUsers, interval }: ArmEffect): boolean {
  return users + defaultUsers >= MIN_USERS && interval !== null && interval[0] > 0;
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
  return `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(4)}`;
}
