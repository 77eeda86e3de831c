/// <reference types="node" preserve="true" />
/// <reference lib="esnext.float16" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
/**
 * A client for applications: publishes feedback to a deployment, and reads scores, embeddings and
 * recommendations.
 */

export type {
  EmbeddedItem,
  RecommendAnswer,
  RecommendedItem,
  ScoreAnswer,
  ScoredItem,
  SimilarAnswer,
  Source,
} from '../contract/answers.ts';
export {
  AttuneError,
  CorruptObjectError,
  type ErrorCode,
  InvalidConfigurationError,
  InvalidInputError,
  NotFoundError,
  UnavailableError,
} from '../errors.ts';
export type { PublishedInteraction } from '../feedback/coalescing.ts';
export type { EmbeddingInput } from '../feedback/embedding-codec.ts';
export { Attune, type AttuneOptions, createAttune } from './client.ts';
export type { CallOptions, Clock } from './deadline.ts';
export type { Service } from './deployment.ts';
export {
  type BufferOptions,
  type Published,
  type UnsentFeedback,
  UnsentFeedbackError,
} from './feedback-buffer.ts';
export { RefusedRequestError } from './invocation.ts';
export type {
  Candidate,
  Choosing,
  EmbedAnswer,
  EmbedRequest,
  Explained,
  ExportRequest,
  ForgetRequest,
  RecommendRequest,
  ScoreRequest,
  SearchAnswer,
  SearchRequest,
  SimilarRequest,
} from './requests.ts';
export type { Outputs, Resources } from './resources.ts';
export type { UserFiles } from './user-export.ts';
export type { ForgetReceipt } from './user-forget.ts';
