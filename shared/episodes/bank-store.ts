import type { CellStrategy, PriorSummary } from './cell-strategy.ts';
import type { Episode } from './episode.ts';
import type { EpisodeStore } from './episode-store.ts';

/** What `StoredReasoningBank` needs. Expired episodes are never returned or counted. */
export interface BankStore extends EpisodeStore {
  /**
   * The newest episodes of every shard of a cell, newest first over all shards. The cost grows with
   * `perShard`, not with the number of episodes. Unreadable episodes are skipped.
   * @throws UnavailableError
   */
  newest(cell: string, perShard: number): Promise<readonly Episode[]>;

  /**
   * Number of episodes of a cell; a lower bound when not `complete`, because counting is bounded.
   * @throws UnavailableError
   */
  count(cell: string): Promise<{ readonly episodes: number; readonly complete: boolean }>;

  /**
   * The announced cells, at most {@link MAX_CELLS}.
   * @throws UnavailableError
   */
  cells(): Promise<readonly string[]>;

  /**
   * Adds a cell to `cells`; a repeated call changes nothing.
   * @throws UnavailableError
   */
  announce(cell: string): Promise<void>;

  /**
   * The strategy of a cell: one small item, cheap enough for the update path.
   * @throws UnavailableError
   */
  strategy(cell: string): Promise<CellStrategy | undefined>;

  /**
   * The prior of the cell, as the last `recordPrior` gave it.
   * @throws UnavailableError
   */
  prior(cell: string): Promise<PriorSummary | undefined>;

  /**
   * Replaces the recommended strategy.
   * @throws UnavailableError
   */
  recordStrategy(strategy: CellStrategy): Promise<void>;
}

/** Most cells in a list. */
export const MAX_CELLS = 32;
