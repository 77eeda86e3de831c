import type { CorruptObjectError } from '../errors.ts';
import type { PriorSummary } from './cell-strategy.ts';
import type { Episode } from './episode.ts';

/** A place in an index. */
export interface IndexPosition {
  readonly shard: number;
  /** Opaque. Orders the episodes of a shard by the time of storing. */
  readonly position: string;
}

/** An episode with its position in an index. */
export interface IndexedEpisode extends IndexPosition {
  readonly episode: Episode;
  readonly error?: undefined;
}

/** A stored item that cannot be read as an episode. */
export interface CorruptEpisode extends IndexPosition {
  readonly error: CorruptObjectError;
  readonly episode?: undefined;
}

/** An episode, or why a stored item cannot be read as one. */
export type EpisodeOfUser =
  | { readonly episode: Episode; readonly error?: undefined }
  | { readonly error: CorruptObjectError; readonly episode?: undefined };

export interface StoreOptions {
  /** Stops waiting; the episode may be stored nevertheless. */
  readonly signal?: AbortSignal;
  /**
   * Last position read by consolidation, by shard, as far as the caller knows. The episode is
   * stored after it, because a clock that was ahead may have been corrected since.
   */
  readonly watermarks?: readonly string[];
}

/**
 * What consolidation and the update path need of the ReasoningBank. Expired episodes are never
 * returned.
 */
export interface EpisodeStore {
  /**
   * Stores an episode once: a repeated call with the same user and version changes nothing.
   * @throws UnavailableError
   */
  store(episode: Episode, options?: StoreOptions): Promise<'stored' | 'known'>;

  /**
   * Episodes of a cell stored after the given position of each shard and before `until`, in order
   * within a shard; for an unreadable one, the error.
   * @param watermarks last position already read, by shard; missing or empty means from the start
   * @param until epoch milliseconds
   */
  after(
    cell: string,
    watermarks: readonly string[],
    until: number,
  ): AsyncIterable<IndexedEpisode | CorruptEpisode>;

  /**
   * The newest episodes of a cell, newest first, without unreadable ones. The cost grows with
   * `limit`, not with the number of episodes.
   */
  recent(cell: string, limit: number): Promise<readonly Episode[]>;

  /** User keys of the newest users of a cell, newest first. */
  newcomers(cell: string, limit: number): Promise<readonly string[]>;

  /**
   * Every stored episode of a user, expired or not, in order of version; for an unreadable one, the
   * error.
   */
  ofUser(userKey: string): AsyncIterable<EpisodeOfUser>;

  /**
   * Removes everything about a user; a repeated call removes nothing more.
   * @returns the number of removed items
   * @throws UnavailableError
   */
  forgetUser(userKey: string): Promise<number>;

  /**
   * Records the prior of a cell, unless a later one is recorded; a repeated call changes nothing.
   * @throws UnavailableError
   */
  recordPrior(cell: string, summary: PriorSummary): Promise<void>;
}
