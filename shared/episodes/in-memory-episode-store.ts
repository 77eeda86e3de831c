import { type BankStore, MAX_CELLS } from './bank-store.ts';
import type { CellStrategy, PriorSummary } from './cell-strategy.ts';
import type { Episode } from './episode.ts';
import {
  expiryOf,
  identityOf,
  isNewcomer,
  neverBack,
  positionOf,
  SHARDS,
  shardKey,
  shardOf,
  storedAtKey,
  timeOfPosition,
} from './episode-index.ts';
import type { EpisodeOfUser, IndexedEpisode, StoreOptions } from './episode-store.ts';

interface Row {
  readonly episode: Episode;
  readonly position: string;
  /** Epoch seconds. */
  readonly expiresAt: number;
}

/**
 * The ReasoningBank's episodes in the memory of this process, with the keys, order and answers of
 * DynamoDB.
 */
export class InMemoryEpisodeStore implements BankStore {
  readonly #known = new Set<string>();
  /** By shard key, with rows in the order of their positions. */
  readonly #byCell = new Map<string, Row[]>();
  readonly #newcomers = new Map<string, Row[]>();
  readonly #cells = new Set<string>();
  readonly #strategies = new Map<string, CellStrategy>();
  readonly #priors = new Map<string, PriorSummary>();
  readonly #ttlDays: number;
  readonly #now: () => number;
  readonly #time: () => number;

  /**
   * @param options.ttlDays days until an episode expires, default 90. `now` is in epoch
   * milliseconds.
   */
  constructor({ ttlDays = 90, now = Date.now }: { ttlDays?: number; now?: () => number } = {}) {
    this.#ttlDays = ttlDays;
    this.#now = now;
    this.#time = neverBack(now);
  }

  async store(episode: Episode, { watermarks }: StoreOptions = {}): Promise<'stored' | 'known'> {
    const key = `${episode.userKey}#${identityOf(episode)}`;
    if (this.#known.has(key)) return 'known';
    this.#known.add(key);
    const storedAt = timeOfPosition(episode, this.#time(), watermarks);
    const row = {
      episode,
      position: positionOf(episode, storedAt),
      expiresAt: expiryOf(storedAt, this.#ttlDays),
    };
    const shard = shardKey(episode.cell, shardOf(episode.userKey));
    insert(this.#byCell, shard, row);
    if (isNewcomer(episode)) insert(this.#newcomers, shard, row);
    return 'stored';
  }

  async *after(cell: string, watermarks: readonly string[], until: number): AsyncIterable<IndexedEpisode> {
    const end = storedAtKey(until);
    for (let shard = 0; shard < SHARDS; shard++) {
      const rows = this.#byCell.get(shardKey(cell, shard)) ?? [];
      const after = watermarks[shard] ?? '';
      for (let i = firstAfter(rows, after); i < rows.length && rows[i]!.position < end; i++) {
        const { episode, position } = rows[i]!;
        if (this.#isLive(rows[i]!)) yield { episode, shard, position };
      }
    }
  }

  async recent(cell: string, limit: number): Promise<readonly Episode[]> {
    return (await this.newest(cell, limit)).slice(0, limit);
  }

  async newest(cell: string, perShard: number): Promise<readonly Episode[]> {
    return this.#newest(this.#byCell, cell, perShard).map(({ episode }) => episode);
  }

  async count(cell: string): Promise<{ episodes: number; complete: boolean }> {
    const live = this.#shards(this.#byCell, cell).flatMap((rows) => rows.filter((row) => this.#isLive(row)));
    return { episodes: live.length, complete: true };
  }

  async cells(): Promise<readonly string[]> {
    return [...this.#cells].sort().slice(0, MAX_CELLS);
  }

  async announce(cell: string): Promise<void> {
    this.#cells.add(cell);
  }

  async strategy(cell: string): Promise<CellStrategy | undefined> {
    return this.#strategies.get(cell);
  }

  async recordStrategy(strategy: CellStrategy): Promise<void> {
    this.#strategies.set(strategy.cell, strategy);
  }

  async newcomers(cell: string, limit: number): Promise<readonly string[]> {
    return this.#newest(this.#newcomers, cell, limit)
      .slice(0, limit)
      .map(({ episode }) => episode.userKey);
  }

  async *ofUser(userKey: string): AsyncIterable<EpisodeOfUser & { readonly episode: Episode }> {
    const rows = [...this.#byCell.values()].flat().filter(({ episode }) => episode.userKey === userKey);
    yield* rows.map(({ episode }) => ({ episode })).sort((a, b) => a.episode.version - b.episode.version);
  }

  async forgetUser(userKey: string): Promise<number> {
    let removed = 0;
    for await (const { episode } of this.ofUser(userKey)) {
      this.#known.delete(`${userKey}#${identityOf(episode)}`);
      removed += 1;
    }
    for (const index of [this.#byCell, this.#newcomers]) {
      for (const [shard, rows] of index) {
        index.set(
          shard,
          rows.filter(({ episode }) => episode.userKey !== userKey),
        );
      }
    }
    return removed;
  }

  async recordPrior(cell: string, summary: PriorSummary): Promise<void> {
    if ((this.#priors.get(cell)?.skillsVersion ?? 0) > summary.skillsVersion) return;
    this.#priors.set(cell, summary);
    await this.announce(cell);
  }

  async prior(cell: string): Promise<PriorSummary | undefined> {
    return this.#priors.get(cell);
  }

  #newest(index: ReadonlyMap<string, Row[]>, cell: string, perShard: number): Row[] {
    return this.#shards(index, cell)
      .flatMap((rows) => rows.slice(-perShard).filter((row) => this.#isLive(row)))
      .sort((a, b) => (a.position < b.position ? 1 : -1));
  }

  #shards(index: ReadonlyMap<string, Row[]>, cell: string): Row[][] {
    return Array.from({ length: SHARDS }, (_, shard) => index.get(shardKey(cell, shard)) ?? []);
  }

  #isLive({ expiresAt }: Row): boolean {
    return expiresAt > Math.floor(this.#now() / 1000);
  }
}

function insert(index: Map<string, Row[]>, shard: string, row: Row): void {
  const rows = index.get(shard) ?? [];
  index.set(shard, rows);
  rows.splice(firstAfter(rows, row.position), 0, row);
}

/** Index of the first of the ordered rows after a position. */
function firstAfter(rows: readonly Row[], position: string): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle]!.position <= position) low = middle + 1;
    else high = middle;
  }
  return low;
}
