import { nextDue } from '../../shared/population/episode-progress.ts';

/** The load of a deployment. */
export interface Load {
  /** Interactions that the application publishes in a month. */
  readonly interactions: number;
  /** Interactions in one message. */
  readonly coalesced: number;
  readonly users: number;
  /** Requests to personalize in a month. */
  readonly requests: number;
  readonly embeddingDim: number;
  readonly rank: number;
  /** Milliseconds that Lambda bills for one invocation of update-adapters and of personalize. */
  readonly updateMs: number;
  readonly personalizeMs: number;
}

export const MONTH = { days: 30, hours: 720, seconds: 2_592_000 } as const;

/** Consolidation runs per month with the default schedule, one every 15 minutes. */
const RUNS = 4 * MONTH.hours;
/** Seconds after which an instance reads basis and population model again. */
const REFRESH_SECONDS = 30;
const MEMORY_GB = { update: 0.5, personalize: 0.5, consolidate: 1 } as const;
const CONSOLIDATION_SECONDS = 1.5;
const KB = 1024;
const GB = 1024 ** 3;

/**
 * Operations for a message that comes alone, from a user whose adapter is not in the instance's
 * cache. test/cli/cost.test.ts counts them on the local stack.
 */
export const PER_MESSAGE = {
  sqsReceives: 1,
  sqsDeletes: 1,
  invocations: 1,
  s3Reads: 1,
  s3Writes: 1,
  tablePuts: 1,
} as const;

/** Operations for one request to personalize. */
export const PER_REQUEST = { invocations: 1, s3Reads: 1 } as const;

/**
 * Operations for a consolidation run that finds new feedback. Each sampled adapter adds one read; a
 * list counts as a write.
 */
export const PER_RUN = { invocations: 1, s3Reads: 5, s3Writes: 5, tablePuts: 2 } as const;
/** Most users whose adapters a run reads when it fits to users. */
const SAMPLED_USERS = 400;

/** Most runs that fit to users while so many episodes are found, the first ones of a deployment. */
export function mostFits(episodes: number): number {
  let fits = 0;
  for (let due = nextDue(0); due <= episodes; due = nextDue(due)) fits += 1;
  return fits;
}

/** Metrics that the functions publish when they run. */
export const METRICS = { update: 7, consolidate: 9 } as const;
/** From the template with default settings. */
export const MONITORING = { alarmMetrics: 26, dashboards: 1 } as const;

/** Bytes of the log entry of one invocation, including Lambda's own lines. */
const LOG_BYTES = 1_500;

/** Five long polls of 20 seconds wait at an empty queue all the time. */
const IDLE_POLLS = (MONTH.seconds / 20) * 5;

/** Bytes of a message: embeddings are base64 of float32. */
export function messageBytes({ coalesced, embeddingDim }: Pick<Load, 'coalesced' | 'embeddingDim'>): number {
  return 150 + coalesced * (Math.ceil((embeddingDim * 4) / 3) * 4 + 70);
}

/** Bytes of an adapter of the learner `bayesian`: B, and the sums over its features. */
export function adapterBytes({ embeddingDim, rank }: Pick<Load, 'embeddingDim' | 'rank'>): number {
  return 4 * embeddingDim * rank + 33_000;
}

/** Bytes of an episode, with the names of its attributes. */
export function episodeBytes({ coalesced }: Pick<Load, 'coalesced'>): number {
  return 395 + 12 * coalesced;
}

/** Write request units of an episode: the table, and the index by cell, which holds all of it. */
export function episodeWriteUnits(load: Pick<Load, 'coalesced'>): number {
  return 2 * Math.ceil(episodeBytes(load) / KB);
}

/** Quantities of a month, in the units that AWS bills. */
export function usageOf(load: Load) {
  const messages = Math.ceil(load.interactions / load.coalesced);
  const chunks = Math.ceil(messageBytes(load) / (64 * KB));
  const runs = messages === 0 ? 0 : Math.min(RUNS, messages);
  const refreshes = (invocations: number) => 2 * Math.min(invocations, MONTH.seconds / REFRESH_SECONDS);
  const sampled = Math.min(SAMPLED_USERS, load.users);
  const fits = Math.min(runs, mostFits(messages));
  const invocations =
    messages * PER_MESSAGE.invocations + load.requests * PER_REQUEST.invocations + RUNS * PER_RUN.invocations;
  const busyMonths = messages === 0 ? 0 : 1;
  return {
    messages,
    sqsRequests:
      messages * chunks * (1 + PER_MESSAGE.sqsReceives) + messages * PER_MESSAGE.sqsDeletes + IDLE_POLLS,
    invocations,
    gbSeconds:
      (messages * MEMORY_GB.update * load.updateMs) / 1000 +
      (load.requests * MEMORY_GB.personalize * load.personalizeMs) / 1000 +
      RUNS * MEMORY_GB.consolidate * CONSOLIDATION_SECONDS,
    s3Reads:
      messages * PER_MESSAGE.s3Reads +
      load.requests * PER_REQUEST.s3Reads +
      refreshes(messages) +
      refreshes(load.requests) +
      runs * PER_RUN.s3Reads +
      fits * sampled,
    s3Writes: messages * PER_MESSAGE.s3Writes + runs * PER_RUN.s3Writes,
    // Earlier versions stay for 30 days.
    s3GbMonths: ((load.users + messages) * adapterBytes(load)) / GB,
    writeUnits:
      messages * PER_MESSAGE.tablePuts * episodeWriteUnits(load) +
      Math.min(load.users, messages) * 3 +
      RUNS * PER_RUN.tablePuts,
    // 8 for the shards of an index, of a second one in a fit, and an episode once.
    readUnits: RUNS * 8 + fits * 8 + messages * (episodeBytes(load) / (4 * KB)) * 0.5,
    // Three months of episodes, in the table and in the index.
    tableGbMonths: (2 * 3 * messages * episodeBytes(load)) / GB,
    logGb: (invocations * LOG_BYTES) / GB,
    metrics: METRICS.update * busyMonths + (busyMonths === 1 ? METRICS.consolidate : 2),
    traces: Math.min(invocations, MONTH.seconds + 0.05 * invocations),
    alarmMetrics: MONITORING.alarmMetrics,
    dashboards: MONITORING.dashboards,
  };
}

export type Usage = ReturnType<typeof usageOf>;
