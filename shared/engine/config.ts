import { InvalidInputError, shown } from '../errors.ts';
import { type Basis, basisFromEmbeddings, randomBasis } from '../lora/basis.ts';
import { SGD_HYPERPARAMETERS } from '../lora/hyperparameters.ts';
import { LEARNER_NAMES, type LearnerName } from '../lora/learner.ts';
import type { ReasoningBankInstance } from '../reasoning-bank/bank.ts';
import type { BankConnectionOptions } from '../reasoning-bank/bank-connection.ts';

/** Configuration of an engine; everything has a default. */
export interface LoRAConfig {
  /** r, 1 to 64. Default 4. */
  rank?: number;
  /** d, 16 to 4096. Default 64. */
  embeddingDim?: number;
  /** α of LoRA: an adapter adds (scalingFactor/rank)·B·A·x. Default 1. */
  scalingFactor?: number;
  /**
   * 'bayesian' needs no learning rate and supports rank × embeddingDim up to 16,384. Default
   * 'bayesian'.
   */
  learner?: LearnerName;
  /** Learning rate of 'sgd', 1e-6 to 10. Default 1. */
  learningRate?: number;
  /** Whether 'sgd' uses elastic weight consolidation. Default true. */
  useEWC?: boolean;
  /** Strength of elastic weight consolidation, 0 to 1e6. Default 0.5. */
  ewcLambda?: number;
  /** Largest norm of a gradient of 'sgd', 1e-3 to 100. Default 1. */
  gradientClipThreshold?: number;
  /** Prior variance of 'bayesian' in units of the noise variance, 0.01 to 1000. Default 10. */
  priorVariance?: number;
  /** Mean reward of all users, 0 to 1: the prediction for a user without feedback. Default 0.5. */
  meanReward?: number;
  /**
   * The basis of all adapters. Default: computed from `catalogue`, otherwise random; for 'sgd'
   * without a catalogue none.
   */
  basis?: Basis;
  /** Embeddings of items to compute the basis from. Such a basis learns more than a random one. */
  catalogue?: readonly Float32Array[];
  /** Seed of every random choice. Default 'attune'. */
  seed?: number | string;
  /** Any object with the four methods. Can be connected later. */
  reasoningBank?: ReasoningBankInstance | undefined;
  /** Whether to cache answers of the bank for five minutes. Default true. */
  enableReasoningBankCache?: boolean;
  /** Deadlines, circuit breaker and cache of calls to the bank, and a callback for failures. */
  bankConnection?: BankConnectionOptions;
  /** Default: random. */
  sessionId?: string;
  /** Default: the machine's clock. */
  now?: () => Date;
}

/** A validated configuration with all defaults filled in. */
export type ResolvedConfig = Required<
  Omit<LoRAConfig, 'reasoningBank' | 'basis' | 'catalogue' | 'sessionId' | 'bankConnection'>
> & {
  /** Null only for 'sgd', which then starts from a seeded A. */
  readonly basis: Basis | null;
};

/** @throws InvalidInputError naming the setting that is out of bounds */
export function resolveConfig(config: LoRAConfig): ResolvedConfig {
  const rank = integer('rank', config.rank ?? 4, 1, 64);
  const embeddingDim = integer('embeddingDim', config.embeddingDim ?? 64, 16, 4096);
  const learner = config.learner ?? 'bayesian';
  if (!LEARNER_NAMES.includes(learner)) {
    throw new InvalidInputError('learner', shown(learner), LEARNER_NAMES.join(' or '));
  }
  if (learner === 'bayesian' && rank * embeddingDim > 16_384) {
    throw new InvalidInputError(
      'rank',
      `rank × embeddingDim of ${rank * embeddingDim}`,
      "at most 16384 for the learner 'bayesian'",
    );
  }
  const scalingFactor = number('scalingFactor', config.scalingFactor ?? 1, 1e-3, 1024);
  const seed = config.seed ?? 'attune';
  const defaults = SGD_HYPERPARAMETERS;
  const bounded = (field: keyof typeof defaults) =>
    number(field, config[field] ?? defaults[field].default, defaults[field].minimum, defaults[field].maximum);
  return {
    rank,
    embeddingDim,
    scalingFactor,
    learner,
    learningRate: bounded('learningRate'),
    useEWC: config.useEWC ?? true,
    ewcLambda: bounded('ewcLambda'),
    gradientClipThreshold: bounded('gradientClipThreshold'),
    priorVariance: number('priorVariance', config.priorVariance ?? 10, 0.01, 1000),
    meanReward: number('meanReward', config.meanReward ?? 0.5, 0, 1),
    basis: basisOf(config, learner, { rank, scalingFactor, seed }, embeddingDim),
    seed,
    enableReasoningBankCache: config.enableReasoningBankCache ?? true,
    now: config.now ?? (() => new Date()),
  };
}

/** The configured values of a learner's hyperparameters. */
export function hyperparametersOf(learner: LearnerName, config: ResolvedConfig): Record<string, number> {
  if (learner === 'bayesian') return { priorVariance: config.priorVariance };
  const { learningRate, gradientClipThreshold, useEWC, ewcLambda } = config;
  return { learningRate, gradientClipThreshold, ewcLambda: useEWC ? ewcLambda : 0 };
}

function basisOf(
  { basis, catalogue }: LoRAConfig,
  learner: LearnerName,
  options: { rank: number; scalingFactor: number; seed: number | string },
  embeddingDim: number,
): Basis | null {
  if (learner === 'sgd' && basis === undefined && catalogue === undefined) return null;
  const { rank, scalingFactor } = options;
  const made =
    basis ??
    (catalogue === undefined ? randomBasis(embeddingDim, options) : basisFromEmbeddings(catalogue, options));
  if (made.embeddingDim === embeddingDim && made.rank === rank && made.scale === scalingFactor / rank)
    return made;
  throw new InvalidInputError(
    basis === undefined ? 'catalogue' : 'basis',
    `dimension ${made.embeddingDim}, rank ${made.rank}, scale ${made.scale}`,
    `dimension ${embeddingDim}, rank ${rank}, scale ${scalingFactor / rank}`,
  );
}

function integer(field: string, value: number, minimum: number, maximum: number): number {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return value;
  throw new InvalidInputError(field, shown(value), `an integer from ${minimum} to ${maximum}`);
}

function number(field: string, value: number, minimum: number, maximum: number): number {
  if (typeof value === 'number' && value >= minimum && value <= maximum) return value;
  throw new InvalidInputError(field, shown(value), `a number from ${minimum} to ${maximum}`);
}
