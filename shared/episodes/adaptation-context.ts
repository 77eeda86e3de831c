/** What makes episodes comparable, as far as known. */
export interface AdaptationContext {
  readonly learner?: string;
  /** r. */
  readonly rank?: number;
  /** d. */
  readonly embeddingDim?: number;
  /** Interactions that the adapter had learned before. */
  readonly samplesSeen?: number;
  /** Interactions in the update. */
  readonly batchSize?: number;
  /** Mean squared error before the update. */
  readonly loss?: number;
}

type NumberField = Exclude<keyof AdaptationContext, 'learner'>;

/** Names of each number in texts. */
const NAMES: Readonly<Record<NumberField, string>> = {
  rank: 'rank',
  embeddingDim: 'embedding[ _]?dim(?:ension)?|dim(?:ension)?',
  samplesSeen: 'samples[ _]?seen|total[ _]?samples|samples',
  batchSize: 'batch[ _]?size|batch',
  loss: 'avg[ _]?loss|loss',
};
const NUMBER = String.raw`(\d+(?:\.\d+)?(?:e[-+]?\d+)?)(?![a-z0-9]|\.\d)`;
const PATTERNS = Object.entries(NAMES).map(
  ([field, name]) =>
    [field as NumberField, new RegExp(`(?:^|[^a-z0-9])(?:${name})[ _=:]+${NUMBER}`, 'i')] as const,
);

/** Numbers that cannot be 0. */
const SIZES: ReadonlySet<string> = new Set<NumberField>(['rank', 'embeddingDim', 'batchSize']);

/** The last `_rank_{r}_samples_{n}` ends the task, because a user id may contain the same words. */
const USER_TASK = /^lora_adaptation_user_(.+)(_rank_\d+_samples_\d+)$/s;

/**
 * Reads a context from a text: the task `lora_adaptation_user_{id}_rank_{r}_samples_{n}`, or
 * `name=value`, `name value` or `name_value` anywhere, such as "learner=bayesian rank=4 dim=64
 * samples=16". Missing fields stay missing.
 */
export function contextOf(text: string): AdaptationContext {
  const said = USER_TASK.exec(text)?.[2] ?? text;
  const context: Record<string, number | string> = {};
  for (const [field, pattern] of PATTERNS) {
    const value = Number(pattern.exec(said)?.[1] ?? Number.NaN);
    if (value > 0 || (value === 0 && !SIZES.has(field))) context[field] = value;
  }
  const learner = /(?:^|[^a-z0-9])learner[ _=:]+([a-z]+)/i.exec(said)?.[1];
  if (learner !== undefined) context.learner = learner.toLowerCase();
  return context;
}

/** The user id in a task text. */
export function userOfTask(task: string): string | undefined {
  return USER_TASK.exec(task)?.[1];
}

/**
 * The task of one user's update.
 * @param samplesSeen interactions that the adapter had learned before
 */
export function taskOf(userId: string, rank: number, samplesSeen: number): string {
  return `lora_adaptation_user_${userId}_rank_${rank}_samples_${samplesSeen}`;
}

/**
 * A query for episodes in a context, which {@link contextOf} reads back. It names no user and
 * rounds counts to powers of two, so that adapters in similar states ask the same query and share
 * its cached answer.
 */
export function queryOf({
  learner,
  rank,
  embeddingDim,
  samplesSeen,
  batchSize,
  loss,
}: AdaptationContext): string {
  const said = [
    learner === undefined ? '' : `learner=${learner}`,
    rank === undefined ? '' : `rank=${rank}`,
    embeddingDim === undefined ? '' : `dim=${embeddingDim}`,
    samplesSeen === undefined ? '' : `samples=${powerOfTwo(samplesSeen)}`,
    batchSize === undefined ? '' : `batch=${powerOfTwo(batchSize)}`,
    loss === undefined ? '' : `loss=${powerOfTwo(loss)}`,
  ];
  return ['lora adaptation', ...said.filter((part) => part !== '')].join(' ');
}

/** The largest power of two that is not larger; 0 for 0. */
function powerOfTwo(value: number): number {
  return value > 0 && Number.isFinite(value) ? 2 ** Math.floor(Math.log2(value)) : 0;
}

/** Weight of each number in the distance, per factor of two. */
const WEIGHTS: Readonly<Record<NumberField, number>> = {
  rank: 1,
  embeddingDim: 1,
  samplesSeen: 0.5,
  batchSize: 0.25,
  loss: 0.25,
};
/** Added to a number before the logarithm, so that 0 has one. */
const FLOOR: Readonly<Record<NumberField, number>> = {
  rank: 0,
  embeddingDim: 0,
  samplesSeen: 1,
  batchSize: 1,
  loss: 1e-3,
};
const OTHER_LEARNER = 4;

/**
 * Distance of two contexts: 0 when all fields that both have are equal. Numbers are compared by
 * their ratio.
 */
export function contextDistance(a: AdaptationContext, b: AdaptationContext): number {
  let distance =
    a.learner !== undefined && b.learner !== undefined && a.learner !== b.learner ? OTHER_LEARNER : 0;
  for (const field of Object.keys(WEIGHTS) as NumberField[]) {
    const x = a[field];
    const y = b[field];
    if (x === undefined || y === undefined) continue;
    distance += WEIGHTS[field] * Math.abs(Math.log2((x + FLOOR[field]) / (y + FLOOR[field])));
  }
  return distance;
}
