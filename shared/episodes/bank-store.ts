import type { CellStrategy, PriorSummary } from './cell-strategy.ts';
import type { Episode } from './episode.ts';
import type { EpisodeStore } from './episode-store.ts';

/** What `StoredReasoningBank` rests on. Expired episodes are never returned or counted. */
export interface BankStore extends EpisodeStore {
  /**
   * The newest episodes of every shard of a cell, newest first over all. The cost grows with `perShard`, never with the number of
   * episodes. What cannot be read is left out.
   * @throws UnavailableError
   */
  newest(cell: string, perShard: number): Promise<readonly Episode[]>;

  /** How many episodes a cell has; at least so many when not `complete`, because counting is bounded. @throws UnavailableError */
  count(cell: string): Promise<{ readonly episodes: number; readonly complete: boolean }>;

  /** The cells that were announced, {@link MAX_CELLS} at most. @throws UnavailableError */
  cells(): Promise<readonly string[]>;

  /** Makes a cell known to `cells`; again, it changes nothing. @throws UnavailableError */
  announce(cell: string): Promise<void>;

  /** What consolidation recommends for a cell: one small item, so that the update path can afford it. @throws UnavailableError */
  strategy(cell: string): Promise<CellStrategy | undefined>;

  /** What the cell's skills are worth, as `recordPrior` was told last. @throws UnavailableError */
  prior(cell: string): Promise<PriorSummary | undefined>;

  /** Replaces what was recommended. @throws UnavailableError */
  recordStrategy(strategy: CellStrategy): Promise<void>;
}

/** Cells that are listed at most. */
export const MAX_CELLS = 32;
