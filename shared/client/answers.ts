/** What the read function answers: the function writes it, the client reads it. */

/**
 * What an answer rests on: the user's own adapter; what other users taught, when the user has no adapter or it was shown not to
 * help; or the embeddings as they are, for users held out always.
 */
export type Source = 'adapter' | 'warm-start' | 'base' | 'holdout';

export interface PersonalizeAnswer {
  readonly userId: string;
  /** 0 for a user without an adapter. */
  readonly adapterVersion: number;
  readonly skillsVersion: number;
  readonly source: Source;
  readonly items: readonly (ScoredItem | EmbeddedItem)[];
}

export interface ScoredItem {
  /** Position among the candidates. */
  readonly index: number;
  readonly itemId?: string;
  /**
   * Predicted reward, which may leave [0, 1]. Where users only pick items, the logarithm of how much more likely this pick is
   * than that of an item without popularity or taste.
   */
  readonly score: number;
  /** The score's summands, when asked for. */
  readonly parts?: { readonly base: number; readonly item: number; readonly user: number };
}

export interface EmbeddedItem {
  readonly index: number;
  readonly itemId?: string;
  /** y as base64 of little-endian float32. */
  readonly embedding: string;
}

export interface RecommendAnswer {
  readonly userId: string;
  readonly adapterVersion: number;
  readonly skillsVersion: number;
  readonly catalogueVersion: number;
  readonly source: Source;
  /** How many items the filter admits and nothing excludes: with fewer than `limit`, all of them are in the answer. */
  readonly matching: number;
  /** Of an answer that explores: the same id draws the same coefficients again, as long as the adapter is the same. */
  readonly requestId?: string | undefined;
  readonly items: readonly RecommendedItem[];
}

export interface RecommendedItem {
  readonly itemId: string;
  readonly score: number;
  /** The score's summands, when asked for. */
  readonly parts?: { readonly base: number; readonly item: number; readonly user: number };
}

export interface SimilarAnswer {
  readonly itemId: string;
  readonly catalogueVersion: number;
  readonly matching: number;
  /** By falling similarity; for a user, by falling score of the user. */
  readonly items: readonly (RecommendedItem & { readonly similarity: number })[];
}

/** What a caller did wrong. */
export interface ExplainedError {
  readonly code: string;
  readonly field: string;
  readonly found: string;
  readonly expected: string;
  readonly message: string;
}
