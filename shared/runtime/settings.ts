import { z } from 'zod';
import { InvalidConfigurationError, shown } from '../errors.ts';
import { ENV } from './names.ts';

const integer = (minimum: number, maximum: number) => z.coerce.number().int().min(minimum).max(maximum);

/** What a deployment is told once and its functions need to know. */
const learning = {
  /** Length d of the application's embeddings. */
  embeddingDim: integer(16, 4096),
  /** Name of the model that makes the embeddings; events that name another one are refused. */
  embeddingModel: z.string().min(1).max(128),
  /** Rank r of the adapters. */
  rank: integer(1, 64),
  /** LoRA's alpha: an adapter adds (scalingFactor / rank)·B·A·x. */
  scalingFactor: z.coerce.number().positive().max(1024),
  learner: z.enum(['bayesian']),
  /** Days until an episode leaves the ReasoningBank. */
  episodeTtlDays: integer(1, 3650),
};

const schedule = z.string().regex(/^(rate\([1-9]\d* (minute|hour|day)s?\)|cron\([^()]+\))$/, {
  error: 'an EventBridge rate(...) or cron(...) expression such as rate(1 hour)',
});

const deployment = z
  .strictObject({
    embeddingDim: learning.embeddingDim.default(64),
    embeddingModel: learning.embeddingModel.default('default'),
    rank: learning.rank.default(4),
    scalingFactor: learning.scalingFactor.default(4),
    learner: learning.learner.default('bayesian'),
    episodeTtlDays: learning.episodeTtlDays.default(90),
    /** When consolidation runs. */
    consolidationSchedule: schedule.default('rate(1 hour)'),
  })
  .refine((s) => s.rank * s.embeddingDim <= 16_384, {
    path: ['rank'],
    error: 'rank × embeddingDim of at most 16384',
  });

const environment = z.object({ ...learning, bucket: z.string().min(1), table: z.string().min(1) });

/** Settings of a deployment: what `cdk.json` and `-c` may say. Defaults: 64, default, 4, 4, bayesian, 90, rate(1 hour). */
export type DeploymentSettings = Readonly<z.output<typeof deployment>>;

/** What every function reads from its environment. */
export type FunctionSettings = Readonly<z.output<typeof environment>>;

/**
 * Settings of a deployment from CDK context.
 * @throws InvalidConfigurationError naming every setting that is unknown or out of range
 */
export function settingsFromContext(context: Record<string, unknown>): DeploymentSettings {
  return parse(deployment, context, (field) => field);
}

/**
 * The environment of a function.
 * @throws InvalidConfigurationError naming every variable that is missing or malformed
 */
export function settingsFromEnvironment(env: Record<string, string | undefined>): FunctionSettings {
  const input = Object.fromEntries(Object.entries(ENV).map(([field, variable]) => [field, env[variable]]));
  return parse(environment, input, (field) => ENV[field as keyof typeof ENV]);
}

function parse<T>(schema: z.ZodType<T>, input: Record<string, unknown>, nameOf: (field: string) => string): T {
  const result = schema.safeParse(input);
  if (result.success) return Object.freeze(result.data);
  const faults = result.error.issues.map((issue) => {
    const field = String(issue.path[0] ?? '');
    return field === ''
      ? issue.message
      : `${nameOf(field)}: found ${shown(input[field])}, expected ${issue.message.replace(/^Invalid input: expected /, '')}`;
  });
  throw new InvalidConfigurationError(faults.join('; '));
}
