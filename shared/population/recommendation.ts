import type { ArmEffect, CellStrategy, Hint, PriorSummary } from '../episodes/cell-strategy.ts';
import type { Episode } from '../episodes/episode.ts';
import { armEffects } from './arm-effects.ts';
import { writeHint } from './hints.ts';
import { LEARNING_RATE, learningRateEffects } from './learning-rate-effects.ts';

/** Least users per value, and on the default, before a value is recommended. */
const MIN_USERS = 10;
/** Users at which the confidence is one half. */
const HALF_CONFIDENCE_USERS = 20;

/**
 * The recommendation from the episodes of one cell: the value with the surest effect whose interval
 * lies above 0. Learning rates are compared by the users' tastes if the episodes record them: from
 * the configured one outwards, as long as every step is an improvement. A single evaluation is
 * right at 95 %; among many, some mislead until the next one.
 * @param defaults configured values; the most used ones where missing
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

/** A sentence about the prior of new users, without hints. */
export function priorInWords(prior: PriorSummary | null): string[] {
  const evidence = prior?.evidence ?? null;
  if (prior === null || evidence === null) return [];
  const { users, interactions } = evidence;
  return [`New users start from what ${users} users showed in ${interactions} interactions.`];
}

function isBetter({ users, defaultUsers, interval }: ArmEffect): boolean {
  return users >= MIN_USERS && defaultUsers >= MIN_USERS && interval !== null && interval[0] > 0;
}

/**
 * Whether a step continues the path: it starts at the configured value or at the last step in its
 * direction.
 */
function isNext(
  { value, defaultValue }: ArmEffect,
  last: ArmEffect | undefined,
  configured: number,
): boolean {
  if (last === undefined) return defaultValue === configured;
  return defaultValue === last.value && value > defaultValue === last.value > last.defaultValue;
}

/** Why a step is not recommended, or does not continue the steps before it. */
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
