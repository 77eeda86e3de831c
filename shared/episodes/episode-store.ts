import type { CorruptObjectError } from '../errors.ts';
import type { PriorSummary } from './cell-strategy.ts';
import type { Episode } from './episode.ts';

/** A place in an index. */
export interface IndexPosition {
  readonly shard: number;
  /** Opaque; orders the episodes of a shard by the time of storing. */
  readonly position: string;
}

/** An episode where an index has it. */
export interface IndexedEpisode extends IndexPosition {
  readonly episode: Episode;
  readonly error?: undefined;
}

/** What stands in an episode's place and cannot be read as one. */
export interface CorruptEpisode extends IndexPosition {
  readonly error: CorruptObjectError;
  readonly episode?: undefined;
}

/** An episode, or why what stands in its place cannot be read as one. */
export type EpisodeOfUser =
  | { readonly episode: Episode; readonly error?: undefined }
  | { readonly error: CorruptObjectError; readonly episode?: undefined };

/** What consolidation and the update path need of the ReasoningBank. Expired episodes are never returned. */
export interface EpisodeStore {
  /**
   * Stores an episode once: the same user and version again changes nothing.
   * @param options.signal gives up waiting; the episode may have been stored all the same
   * @throws UnavailableError
   */
  store(episode: Episode, options?: { readonly signal?: AbortSignal }): Promise<'stored' | 'known'>;

  /**
   * Episodes of a cell stored after the given position of each shard and before `until`, in order within a shard; for one that
   * cannot be read, the error.
   * @param watermarks last position taken in, by shard; a missing or empty one means from the start
   * @param until epoch milliseconds
   */
  after(
    cell: string,
    watermarks: readonly string[],
    until: number,
  ): AsyncIterable<IndexedEpisode | CorruptEpisode>;

  /** The newest episodes of a cell, newest first, without what cannot be read. Cost grows with `limit`, never with the number of episodes. */
  recent(cell: string, limit: number): Promise<readonly Episode[]>;

  /** User keys of those who came last to a cell, newest first. */
  newcomers(cell: string, limit: number): Promise<readonly string[]>;

  /** Every episode of a user that is still held, expired or not, in order of version; for one that cannot be read, the error. */
  ofUser(userKey: string): AsyncIterable<EpisodeOfUser>;

  /**
   * Removes all that is held of a user; doing it again removes nothing more.
   * @returns how many items were removed
   * @throws UnavailableError
   */
  forgetUser(userKey: string): Promise<number>;

  /**
   * Records what new users of a cell start from, unless a later one is recorded; repeating it changes nothing.
   * @throws UnavailableError
   */
  recordPrior(cell: string, summary: PriorSummary): Promise<void>;
}
