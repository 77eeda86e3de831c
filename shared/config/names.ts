/** All names that the infrastructure, the functions and the clients share. */

/** Environment variables of the functions. */
export const ENV = {
  bucket: 'ATTUNE_BUCKET',
  table: 'ATTUNE_TABLE',
  embeddingDim: 'ATTUNE_EMBEDDING_DIM',
  embeddingModel: 'ATTUNE_EMBEDDING_MODEL',
  rank: 'ATTUNE_RANK',
  scalingFactor: 'ATTUNE_SCALING_FACTOR',
  learner: 'ATTUNE_LEARNER',
  learningRate: 'ATTUNE_LEARNING_RATE',
  exploration: 'ATTUNE_EXPLORATION',
  episodeTtlDays: 'ATTUNE_EPISODE_TTL_DAYS',
  transfer: 'ATTUNE_TRANSFER',
  holdout: 'ATTUNE_HOLDOUT',
} as const;

/** Environment variables beside the settings. */
export const VARIABLE = {
  /** Name of the deployment: the dimension `stack` of its metrics. */
  deployment: 'ATTUNE_DEPLOYMENT',
  /** The feedback queue, for update-adapters. */
  queueUrl: 'ATTUNE_QUEUE_URL',
  /** Most seconds before a failed message is delivered again: the queue's visibility timeout. */
  longestRetrySeconds: 'ATTUNE_LONGEST_RETRY_SECONDS',
} as const;

/** Key prefixes of the bucket. Keys never hold user ids, but the SHA-256 of the id, in hex. */
export const PREFIX = {
  adapters: 'adapters/',
  basis: 'basis/',
  skills: 'skills/',
  /** Items of the application, with the data of the scan. */
  catalogue: 'catalogue/',
  /** Objects that only consolidation reads. */
  consolidation: 'consolidation/',
  quarantine: 'quarantine/',
  pending: 'pending/',
} as const;

/** Tag of tombstones, which a lifecycle rule of the bucket uses. */
export const TOMBSTONE_TAG = { key: 'attune', value: 'tombstone' } as const;

/**
 * The table and its indexes; see docs/reasoning-bank.md. Every key attribute is a string.
 * `storedAt` begins with epoch milliseconds in 13 digits, which sort by time. An item without
 * `cell` or `newcomer` is in no index.
 */
export const TABLE = {
  partitionKey: 'pk',
  sortKey: 'sk',
  expiresAt: 'expiresAt',
  byCell: { index: 'by-cell', partitionKey: 'cell', sortKey: 'storedAt' },
  newcomers: { index: 'newcomers', partitionKey: 'newcomer', sortKey: 'storedAt' },
} as const;

/** Name of the service in logs, traces and metrics. */
export const SERVICE = 'attune';

/** Dimensions of Attune's own metrics. Metrics of versions before 0.2 have only `service`. */
export const DIMENSION = { service: 'service', deployment: 'stack' } as const;

/** CloudWatch metrics (EMF). */
export const METRIC_NAMESPACE = 'Attune';
export const METRIC = {
  interactionsApplied: 'InteractionsApplied',
  eventsApplied: 'EventsApplied',
  eventsDuplicate: 'EventsDuplicate',
  eventsQuarantined: 'EventsQuarantined',
  eventsForgotten: 'EventsForgotten',
  updates: 'Updates',
  conflicts: 'CommitConflicts',
  eventToEffect: 'EventToEffect',
  episodesPending: 'EpisodesPending',
  consolidations: 'Consolidations',
  skillsCreated: 'SkillsCreated',
  /**
   * Test-then-train loss of adapters divided by the loss without them, minus 1, with the bounds of
   * its 95 % interval.
   */
  lossChange: 'LossChange',
  lossChangeLow: 'LossChangeLow',
  lossChangeHigh: 'LossChangeHigh',
  /**
   * Mean reward of users served with adapters minus that of held-out users, with the bounds of its
   * 95 % interval.
   */
  rewardDifference: 'RewardDifference',
  rewardDifferenceLow: 'RewardDifferenceLow',
  rewardDifferenceHigh: 'RewardDifferenceHigh',
  /** Failed messages that will be delivered again; only recorded above 0. */
  eventsGivenBack: 'EventsGivenBack',
  /**
   * 1 for a consolidation that changed the population model, 0 for one that found nothing new or
   * another run.
   */
  consolidationsEffective: 'ConsolidationsEffective',
  /** Fitted priors by result; only recorded when one was fitted. */
  priorsAccepted: 'PriorsAccepted',
  priorsRefused: 'PriorsRefused',
  /** Mean pick percentile of users, 0 to 1, and the upper bound of its 95 % interval. */
  pickPercentile: 'PickPercentile',
  pickPercentileHigh: 'PickPercentileHigh',
  corruptObjects: 'CorruptObjects',
  /**
   * Requests that personalize failed to answer, through its URL or by Invoke. Invalid requests do
   * not count.
   */
  requestsFailed: 'RequestsFailed',
} as const;

/** Outputs of the stack, for clients and the local stack. */
export const OUTPUT = {
  feedbackQueueUrl: 'FeedbackQueueUrl',
  deadLetterQueueUrl: 'DeadLetterQueueUrl',
  consolidationFailuresUrl: 'ConsolidationFailuresUrl',
  bucketName: 'BucketName',
  tableName: 'TableName',
  updateFunctionName: 'UpdateFunctionName',
  consolidateFunctionName: 'ConsolidateFunctionName',
  personalizeFunctionName: 'PersonalizeFunctionName',
  personalizeUrl: 'PersonalizeUrl',
  /** JSON of the learner's settings that commands need; see learningSettingsOf in settings.ts. */
  learningSettings: 'LearningSettings',
} as const;

/** Log message for an object with unreadable bytes; its `key` names the object. */
export const DAMAGED = 'an object is damaged';
