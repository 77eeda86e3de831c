import * as z from 'zod';
import type { AdaptationContext } from '../episodes/adaptation-context.ts';
import { parseInput } from '../validation/faults.ts';
import { idSchema } from '../validation/id.ts';
import type { NewPattern, RetrievalOptions } from './bank.ts';

/** Most bytes of each text of a pattern, so that items stay far below DynamoDB's limit. */
const MAX_TEXT_BYTES = 4096;
const MAX_HYPERPARAMETERS = 16;

const number = (minimum: number, maximum: number) => {
  const error = Number.isFinite(maximum)
    ? `a number from ${minimum} to ${maximum}`
    : `a finite number, at least ${minimum}`;
  return z.number({ error }).refine((value) => value >= minimum && value <= maximum, { error, abort: true });
};

const integer = (minimum: number, maximum: number) => {
  const error = `an integer from ${minimum} to ${maximum}`;
  const fits = (value: number) => Number.isInteger(value) && value >= minimum && value <= maximum;
  return z.number({ error }).refine(fits, { error, abort: true });
};

const name = (maximum: number) => {
  const error = `1 to ${maximum} characters`;
  // Not min and max, because they accept anything with a length, not only strings.
  const fits = ({ length }: string) => length >= 1 && length <= maximum;
  return z.string({ error }).refine(fits, { error, abort: true });
};

const textError = `text of at most ${MAX_TEXT_BYTES} bytes`;
const text = z
  .string({ error: textError })
  .refine((value) => Buffer.byteLength(value, 'utf8') <= MAX_TEXT_BYTES, { error: textError, abort: true });

const flag = z.boolean({ error: 'true or false' });
const fraction = number(0, 1);
const count = integer(0, Number.MAX_SAFE_INTEGER);
const size = integer(1, 1_000_000);
const anyPositive = number(0, Number.POSITIVE_INFINITY).refine(Number.isFinite, { error: 'a finite number' });
const learner = z.string().regex(/^[a-z]{1,32}$/, { error: '1 to 32 letters from a to z' });

const context = z.strictObject({
  learner: learner.optional(),
  rank: size.optional(),
  embeddingDim: size.optional(),
  samplesSeen: count.optional(),
  batchSize: count.optional(),
  loss: anyPositive.optional(),
});

const outcome = z.strictObject({
  rewards: count,
  meanReward: fraction,
  loss: anyPositive,
  lossWithoutAdapter: anyPositive,
  lossOfWarmStart: anyPositive,
});

// Ignores fields of other banks instead of refusing them, because patterns are made for any bank.
const pattern = z.object({
  sessionId: name(128),
  task: name(1024),
  input: text.optional(),
  output: text.optional(),
  critique: text.optional(),
  success: flag,
  reward: fraction,
  latencyMs: anyPositive.optional(),
  tokensUsed: anyPositive.optional(),
  userId: idSchema.optional(),
  version: integer(1, 9_999_999_999).optional(),
  context: context.optional(),
  hyperparameters: z
    .record(z.string().regex(/^[A-Za-z][A-Za-z0-9]{0,63}$/), z.number({ error: 'a finite number' }), {
      error: 'an object with a number for each name',
    })
    .refine((record) => Object.keys(record).length <= MAX_HYPERPARAMETERS, {
      error: `at most ${MAX_HYPERPARAMETERS} hyperparameters`,
    })
    .optional(),
  outcome: outcome.optional(),
});

const retrieval = z
  .strictObject({
    k: integer(1, 10_000).default(5),
    minReward: fraction.default(0),
    onlySuccesses: flag.default(false),
    onlyFailures: flag.default(false),
  })
  .refine(({ onlySuccesses, onlyFailures }) => !(onlySuccesses && onlyFailures), {
    path: ['onlyFailures'],
    error: 'false when onlySuccesses is true',
  });

const consolidation = z.strictObject({
  minUses: integer(1, 1_000_000),
  minSuccessRate: fraction,
  lookbackDays: number(0, 3650).refine((days) => days > 0, { error: 'a number above 0, at most 3650' }),
});

/** @throws InvalidInputError naming the field */
export function parsePattern(input: unknown): NewPattern {
  return defined(parseInput(pattern, input));
}

/** @throws InvalidInputError naming the option */
export function parseRetrieval(input: unknown): Required<RetrievalOptions> {
  return parseInput(retrieval, input ?? {});
}

/** @throws InvalidInputError naming the field */
export function parseContext(input: unknown): AdaptationContext {
  return defined(parseInput(context, input));
}

/** @throws InvalidInputError naming the argument */
export function parseConsolidation(input: {
  minUses: unknown;
  minSuccessRate: unknown;
  lookbackDays: unknown;
}): z.output<typeof consolidation> {
  return parseInput(consolidation, input);
}

/**
 * Drops fields that are undefined: zod types a missing field as undefined, the types here as
 * absent.
 */
function defined<T extends object, U extends T>(value: T): U {
  const fields = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(
    fields.map(([name, field]) => [name, isObject(field) ? defined(field) : field]),
  ) as U;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
