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

/** What `recommend`, `similar` and `search` have in common. */
export interface Choosing extends CallOptions {
  /** 1 to 500; default 20. */
  readonly limit?: number | undefined;
  /** Such as `{ attribute: 'genre', in: ['comedy'] }`. */
  readonly filter?: unknown;
  /** Item ids to leave out. */
  readonly exclude?: readonly string[] | undefined;
  /** Whether the items that the user has interacted with are left out; default true. */
  readonly excludeInteracted?: boolean | undefined;
  /** Exclude only items of the last so many days; default all remembered ones. */
  readonly interactedWithinDays?: number | undefined;
  /** Of these, only those met by one of these kinds; default all. */
  readonly interactedBy?: readonly InteractionKind[] | undefined;
  /** From 0 (by score alone, the default) to 1. */
  readonly diversity?: number | undefined;
  readonly maxPerValue?: { readonly attribute: string; readonly count: number } | undefined;
  readonly explain?: boolean | undefined;
}

export interface RecommendRequest extends Choosing {
  readonly userId: string;
  /**
   * Whether items that may be better than they look get a chance: scores come from a draw of the
   * user's posterior.
   */
  readonly explore?: boolean | undefined;
  /** Names the answer in feedback; a new one by default. The same id repeats a draw. */
  readonly requestId?: string | undefined;
}

export interface SimilarRequest extends Choosing {
  readonly itemId: string;
  /** Orders the items by this user's taste. */
  readonly userId?: string | undefined;
}

export interface SearchRequest extends Choosing {
  /** Whose taste counts. */
  readonly userId: string;
  /** Embedding of the query; its length does not matter. */
  readonly query: EmbeddingInput;
  /** Whether the answer holds the vector to search any other store with. */
  readonly queryVector?: boolean | undefined;
}

export interface ForgetRequest extends CallOptions {
  readonly userId: string;
  /** Milliseconds for updates to finish that are under way; default 35,000. */
  readonly settleMs?: number | undefined;
  /** Whether to drop later events even if nothing is known about the user; default false. */
  readonly tombstone?: boolean | undefined;
}

export interface ExportRequest extends CallOptions {
  readonly userId: string;
  /**
   * `all`, the default: everything, as it is stored. `peft`: the adapter alone, as Hugging Face
   * PEFT reads it.
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

/** An answer whose scores have their parts. */
export type Explained<Answer extends ScoreAnswer | RecommendAnswer> = Omit<Answer, 'items'> & {
  readonly items: readonly (Answer['items'][number] & { readonly parts: ScoreParts })[];
};
