/**
 * A client for applications: publishes feedback to a deployment, and reads scores, embeddings and
 * recommendations.
 */

export type {
  RecommendAnswer,
  RecommendedItem,
  ScoredItem,
  SimilarAnswer,
  Source,
} from '../contract/answers.ts';
export {
  AttuneError,
  type ErrorCode,
  InvalidConfigurationError,
  InvalidInputError,
  NotFoundError,
  UnavailableError,
} from '../errors.ts';
export type { PublishedInteraction } from '../feedback/coalescing.ts';
export type { EmbeddingInput } from '../feedback/embedding-codec.ts';
export {
  Attune,
  type AttuneOptions,
  type Candidate,
  type Choosing,
  createAttune,
  type EmbedAnswer,
  type EmbedRequest,
  type RecommendRequest,
  type ScoreAnswer,
  type ScoreRequest,
  type SimilarRequest,
} from './client.ts';
export type { CallOptions, Clock } from './deadline.ts';
export { type BufferOptions, type UnsentFeedback, UnsentFeedbackError } from './feedback-buffer.ts';
export { RefusedRequestError } from './invocation.ts';
export type { Outputs, Resources } from './resources.ts';
