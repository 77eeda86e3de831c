import * as z from 'zod';
import { SGD_HYPERPARAMETERS } from '../lora/hyperparameters.ts';
import { parseConfiguration } from '../validation/faults.ts';
import { idSchema } from '../validation/id.ts';
import { ENV } from './names.ts';
import { isRecurringSchedule } from './schedule-expression.ts';

/**
 * Settings are JSON (cdk.json) or text (`-c`, environment). Text counts only as a plain decimal
 * number.
 */
const decimal = /^-?\d+(\.\d+)?(e[+-]?\d+)?$/;
const numeric = <T extends z.ZodType<number>>(schema: T) =>
  z.preprocess((value) => (typeof value === 'string' && decimal.test(value) ? Number(value) : value), schema);

function integer(minimum: number, maximum: number) {
  const error = `an integer from ${minimum} to ${maximum}`;
  const inRange = (value: number) => Number.isInteger(value) && value >= minimum && value <= maximum;
  return numeric(z.number({ error }).refine(inRange, { error, abort: true }));
}

function number(minimum: number, maximum: number) {
  const error = `a number from ${minimum} to ${maximum}`;
  return numeric(
    z.number({ error }).refine((value) => value >= minimum && value <= maximum, { error, abort: true }),
  );
}

const flag = z.preprocess(
  (value) => (value === 'true' ? true : value === 'false' ? false : value),
  z.boolean({ error: 'true or false' }),
);

/** Retention times in days that CloudWatch Logs accepts. */
const LOG_RETENTION_DAYS = [
  1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653,
];
const logRetention = numeric(
  z
    .number({ error: `one of ${LOG_RETENTION_DAYS.join(', ')}` })
    .refine((days) => LOG_RETENTION_DAYS.includes(days), {
      error: `one of ${LOG_RETENTION_DAYS.join(', ')}`,
    }),
);
/** MB that Lambda offers. */
const memory = integer(128, 10_240);

function text(pattern: RegExp, error: string) {
  return z.string({ error }).regex(pattern, { error });
}

const { learningRate } = SGD_HYPERPARAMETERS;

/** Settings of a deployment that its functions need. */
const learning = {
  /** Length d of the application's embeddings. */
  embeddingDim: integer(16, 4096),
  /** Name of the model of the embeddings. Events with another one are refused. */
  embeddingModel: idSchema,
  /** Rank r of the adapters. */
  rank: integer(1, 64),
  /** LoRA's alpha: an adapter adds (scalingFactor / rank)·B·A·x. */
  scalingFactor: number(0.001, 1024),
  learner: z.enum(['bayesian', 'sgd'], { error: '"bayesian" or "sgd"' }),
  /** Learning rate of the learner 'sgd'; the other has none. */
  learningRate: number(learningRate.minimum, learningRate.maximum),
  /** Share of users who train with other learning rates; learner 'sgd' only. */
  exploration: number(0, 0.5),
  /** Days until an episode in the ReasoningBank expires. */
  episodeTtlDays: integer(1, 3650),
  /** Whether users profit from others. With `off`, the population model is learned but not used. */
  transfer: z.enum(['on', 'off'], { error: '"on" or "off"' }),
  /**
   * Share of users who are served without adapter, so that `attune uplift` can measure the effect
   * of adapters.
   */
  holdout: number(0, 0.5),
};

const schedule = z.string({ error: 'a schedule such as rate(1 hour)' }).refine(isRecurringSchedule, {
  error: 'rate(<n> minutes|hours|days) or a cron(...) of six fields, as EventBridge Scheduler takes',
});

const deployment = z
  .strictObject({
    embeddingDim: learning.embeddingDim.default(64),
    embeddingModel: learning.embeddingModel.default('default'),
    rank: learning.rank.default(4),
    scalingFactor: learning.scalingFactor.default(1),
    learner: learning.learner.default('bayesian'),
    learningRate: learning.learningRate.optional(),
    exploration: learning.exploration.default(0),
    episodeTtlDays: learning.episodeTtlDays.default(90),
    transfer: learning.transfer.default('on'),
    holdout: learning.holdout.default(0),
    /** When consolidation runs. */
    consolidationSchedule: schedule.default('rate(15 minutes)'),
    /** Most batches of feedback that are applied at the same time. */
    maxConcurrency: integer(2, 1000).default(5),
    updateMemory: memory.default(512),
    personalizeMemory: memory.default(512),
    consolidateMemory: memory.default(1024),
    /** Limits the cost of the table: most request units per second before it throttles. */
    tableMaxReadUnits: integer(1, 40_000).default(1000),
    tableMaxWriteUnits: integer(1, 40_000).default(1000),
    logRetentionDays: logRetention.default(30),
    /** Whether bucket and table are deleted with the stack. */
    removalPolicy: z.enum(['retain', 'destroy'], { error: '"retain" or "destroy"' }).default('retain'),
    /** Whether personalize has a URL; default: where Lambda has function URLs. */
    url: flag.optional(),
    alarms: flag.default(true),
    dashboard: flag.default(true),
    /** Name of the CloudFormation stack. */
    stackName: text(
      /^[A-Za-z][A-Za-z0-9-]{0,62}$/,
      'a letter and at most 62 letters, digits and hyphens',
    ).default('Attune'),
    /** Recipient of alarms. Without it, alarms show only in CloudWatch. */
    alarmEmail: text(/^[^\s@]+@[^\s@]+\.[^\s@]+$/, 'an e-mail address').optional(),
    /** Monthly cost of the AWS account, in US dollars, above which `alarmEmail` is warned. */
    monthlyBudget: number(0.01, 1_000_000).optional(),
  })
  .refine((s) => s.learner !== 'bayesian' || s.rank * s.embeddingDim <= 16_384, {
    path: ['rank'],
    error: "rank × embeddingDim of at most 16384 for the learner 'bayesian'",
  })
  .refine((s) => s.learner === 'sgd' || s.learningRate === undefined, {
    path: ['learningRate'],
    error: "no value unless the learner is 'sgd'",
  })
  .refine((s) => s.learner === 'sgd' || s.exploration === 0, {
    path: ['exploration'],
    error: "0 unless the learner is 'sgd'",
  })
  .refine((s) => s.monthlyBudget === undefined || s.alarmEmail !== undefined, {
    path: ['alarmEmail'],
    error: 'an e-mail address when monthlyBudget is set',
  })
  .transform((s) => ({ ...s, learningRate: s.learningRate ?? learningRate.default }));

const environment = z.object({
  ...learning,
  bucket: text(/./, 'the name of the bucket'),
  table: text(/./, 'the name of the table'),
});

/**
 * Settings of a deployment, from `cdk.json` and `-c`. Defaults: embeddingDim 64, embeddingModel
 * default, rank 4, scalingFactor 1, learner bayesian, learningRate 1 and exploration 0 (of the
 * learner 'sgd' only), episodeTtlDays 90, transfer on, holdout 0, consolidationSchedule rate(15
 * minutes), maxConcurrency 5, updateMemory and personalizeMemory 512, consolidateMemory 1024,
 * tableMaxReadUnits and tableMaxWriteUnits 1000, logRetentionDays 30, removalPolicy retain, url
 * where the region has function URLs, alarms and dashboard true, stackName Attune; no alarmEmail,
 * no monthlyBudget.
 */
export type DeploymentSettings = Readonly<z.output<typeof deployment>>;

/** The environment of every function. */
export type FunctionSettings = Readonly<z.output<typeof environment>>;

/**
 * Settings that adapters, basis and population model of a deployment share, and settings that
 * decide how users are served.
 */
export type LearningSettings = Pick<
  DeploymentSettings,
  'embeddingDim' | 'embeddingModel' | 'rank' | 'scalingFactor' | 'learner' | 'transfer' | 'holdout'
>;

export function learningSettingsOf(settings: LearningSettings): LearningSettings {
  const { embeddingDim, embeddingModel, rank, scalingFactor, learner, transfer, holdout } = settings;
  return { embeddingDim, embeddingModel, rank, scalingFactor, learner, transfer, holdout };
}

/** The names of all settings of a deployment. */
export const SETTINGS: readonly string[] = Object.keys(deployment.in.shape);

/**
 * Settings of a deployment from CDK context.
 * @throws InvalidConfigurationError naming every setting that is unknown or out of range
 */
export function settingsFromContext(context: Record<string, unknown>): DeploymentSettings {
  const known = `one of ${SETTINGS.join(', ')}`;
  return Object.freeze(parseConfiguration(deployment, context, { known }));
}

/**
 * The environment of a function.
 * @throws InvalidConfigurationError naming every variable that is missing or malformed
 */
export function settingsFromEnvironment(env: Record<string, string | undefined>): FunctionSettings {
  const input = Object.fromEntries(Object.entries(ENV).map(([field, variable]) => [field, env[variable]]));
  const nameOf = (field: string) => ENV[field as keyof typeof ENV];
  return Object.freeze(parseConfiguration(environment, input, { nameOf }));
}

/** The environment that `settingsFromEnvironment` reads back as these settings. */
export function environmentOf(settings: FunctionSettings): Record<string, string> {
  const fields = Object.keys(ENV) as (keyof typeof ENV)[];
  return Object.fromEntries(fields.map((field) => [ENV[field], String(settings[field])]));
}
