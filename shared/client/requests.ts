import type {
  EmbedAnswer as EmbedAnswerOnTheWire,
  EmbeddedItem,
  RecommendAnswer,
  ScoreAnswer,
  ScoreParts,
  SearchAnswer as SearchAnswerOnTheWire,
} from '../contract/answers.ts';
import type { EmbeddingInput } from '../feedback/embedding-codec.ts';
import type { InteractionKind } from '../interaction-kinds.ts';
import type { CallOptions } from './deadline.ts';

export interface Candidate {
  readonly itemId?: string | undefined;
  readonly embedding: EmbeddingInput;
}

export interface ScoreRequest extends CallOptions {
  readonly userId: string;
  /** 1 to 500. */
  readonly candidates: readonly Candidate[];
  /** Whether scores come with their parts. */
  readonly explain?: boolean | undefined;
}

export type EmbedRequest = Omit<ScoreRequest, 'explain'>;

/** Fields that `recommend`, `similar` and `search` share. */
export interface Choosing extends CallOptions {
  /** 1 to 500; default 20. */
  readonly limit?: number | undefined;
  /** Such as `{ attribute: 'genre', in: ['comedy'] }`. */
  readonly filter?: unknown;
  /** Item ids to leave out. */
  readonly exclude?: readonly string[] | undefined;
  /** Whether to leave out items that the user has interacted with; default true. */
  readonly excludeInteracted?: boolean | undefined;
  /**
   * Leave out only items with an interaction in the last so many days; default: all remembered
   * items.
   */
  readonly interactedWithinDays?: number | undefined;
  /** Leave out only items with an interaction of one of these kinds; default: all kinds. */
  readonly interactedBy?: readonly InteractionKind[] | undefined;
  /** From 0 (by score alone, the default) to 1. */
  readonly diversity?: number | undefined;
  readonly maxPerValue?: { readonly attribute: string; readonly count: number } | undefined;
  readonly explain?: boolean | undefined;
}

export interface RecommendRequest extends Choosing {
  readonly userId: string;
  /**
   * Whether to draw the user's coefficients from their posterior, so that uncertain items get a
   * chance.
   */
  readonly explore?: boolean | undefined;
  /** Names the answer in feedback; default: a new one. The same id repeats a draw. */
  readonly requestId?: string | undefined;
}

export interface SimilarRequest extends Choosing {
  readonly itemId: string;
  /** Orders the items by this user's taste. */
  readonly userId?: string | undefined;
}

export interface SearchRequest extends Choosing {
  /** The user whose taste counts. */
  readonly userId: string;
  /** Embedding of the query; its length does not matter. */
  readonly query: EmbeddingInput;
  /** Whether the answer has a vector for searching any other store. */
  readonly queryVector?: boolean | undefined;
}

export interface ForgetRequest extends CallOptions {
  readonly userId: string;
  /** Milliseconds to wait for running updates; default 35,000. */
  readonly settleMs?: number | undefined;
  /** Whether to drop later events even if nothing is known about the user; default false. */
  readonly tombstone?: boolean | undefined;
}

export interface ExportRequest extends CallOptions {
  readonly userId: string;
  /**
   * `all`, the default: everything, as it is stored. `peft`: only the adapter, in the format of
   * Hugging Face PEFT.
   */
  readonly format?: 'all' | 'peft' | undefined;
}

export interface EmbedAnswer extends Omit<EmbedAnswerOnTheWire, 'items'> {
  /** In the order of the candidates. */
  readonly items: readonly (Omit<EmbeddedItem, 'embedding'> & { readonly embedding: Float32Array })[];
}

export interface SearchAnswer extends Omit<SearchAnswerOnTheWire, 'queryVector'> {
  readonly queryVector?: Float32Array | undefined;
}

/** An answer with the parts of its scores. */
export type Explained<Answer extends ScoreAnswer | RecommendAnswer> = Omit<Answer, 'items'> & {
  readonly items: readonly (Answer['items'][number] & { readonly parts: ScoreParts })[];
};
