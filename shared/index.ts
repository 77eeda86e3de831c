/// <reference types="node" preserve="true" />
/// <reference lib="esnext.float16" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * Attune as a library: the engine that creates, applies and trains adapters in-process, its
 * mathematics, a ReasoningBank in memory, and the publisher of feedback events for a deployed
 * stack. Nothing here imports an AWS SDK.
 */

export {
  exportPeft,
  importPeft,
  type PeftFiles,
} from './adapters/peft.ts';
export type { AdapterMetadata, UserLoRAAdapter } from './engine/adapter.ts';
export type { LoRAConfig, ResolvedConfig } from './engine/config.ts';
export {
  createLoRAPersonalizationEngine,
  LoRAPersonalizationEngine,
  type ReasoningBankStats,
  type UserPreferences,
} from './engine/engine.ts';
export { type AdapterFeedback, createAdapterFeedback, type WatchEvent } from './engine/feedback.ts';
export type { AdaptationContext } from './episodes/adaptation-context.ts';
export type { ArmEffect, Hint, Skill } from './episodes/cell-strategy.ts';
export { InMemoryEpisodeStore } from './episodes/in-memory-episode-store.ts';
export {
  AttuneError,
  ConflictError,
  CorruptObjectError,
  type ErrorCode,
  InvalidConfigurationError,
  InvalidInputError,
  NotFoundError,
  UnavailableError,
} from './errors.ts';
export { type EmbeddingInput, encodeEmbedding } from './feedback/embedding-codec.ts';
export {
  FeedbackPublisher,
  type FeedbackPublisherOptions,
  type PublishFailure,
  type PublishOptions,
  type PublishProgress,
  type PublishReport,
} from './feedback/publisher.ts';
export type { FeedbackQueue, QueueEntry, RefusedEntry } from './feedback/queue.ts';
export {
  type AdapterShape,
  type Basis,
  type BasisOptions,
  basisFromEmbeddings,
  type DownProjection,
  randomBasis,
} from './lora/basis.ts';
export type { CarryOver } from './lora/carry-over.ts';
export {
  batchForward,
  forward,
  type LoraAdapter,
  type LoraWeights,
  queryScores,
  userPart,
} from './lora/forward.ts';
export {
  initialModel,
  type Learner,
  type LearnerName,
  type LearnerState,
  learnerOf,
  warmStart,
} from './lora/learner.ts';
export { type MergeableAdapter, mergeLora } from './lora/merge.ts';
export {
  type PredictedReward,
  type PrequentialRecord,
  type ServingMode,
  servingMode,
} from './lora/prequential.ts';
export type { Model, Training, TrainingInteraction } from './lora/training.ts';
export { parseHints } from './population/hints.ts';
export type {
  BankStats,
  ConsolidationSummary,
  NewPattern,
  Pattern,
  ReasoningBank,
  ReasoningBankInstance,
  RetrievalOptions,
  Strategy,
} from './reasoning-bank/bank.ts';
export type { BankConnectionOptions, Degradation } from './reasoning-bank/bank-connection.ts';
export type { SimilarAdaptation } from './reasoning-bank/recalled-pattern.ts';
export {
  StoredReasoningBank,
  type StoredReasoningBankOptions,
} from './reasoning-bank/stored-reasoning-bank.ts';
