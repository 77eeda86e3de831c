import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { TABLE } from '../config/names.ts';
import { CorruptObjectError } from '../errors.ts';
import { type BankStore, MAX_CELLS } from './bank-store.ts';
import type { CellStrategy, PriorSummary } from './cell-strategy.ts';
import { BATCH, byNewest, DynamoTable } from './dynamodb-table.ts';
import type { Episode } from './episode.ts';
import { neverBack, SHARDS, storedAtKey, timeOfPosition } from './episode-index.ts';
import { fromItem, type Item, isEpisode, number, text, toItem, userOf } from './episode-item.ts';
import type { CorruptEpisode, EpisodeOfUser, IndexedEpisode, StoreOptions } from './episode-store.ts';

export interface DynamoEpisodeStoreOptions {
  readonly table: string;
  readonly ttlDays: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

const CELLS = 'CELLS';
const SKILLS = 'SKILLS';
const STRATEGY = 'STRATEGY';

/** The ReasoningBank's episodes in one DynamoDB table; see docs/reasoning-bank.md. */
export class DynamoEpisodeStore implements BankStore {
  readonly #table: DynamoTable;
  readonly #ttlDays: number;
  readonly #time: () => number;

  constructor(client: DynamoDBClient, { table, ttlDays, now = Date.now }: DynamoEpisodeStoreOptions) {
    this.#table = new DynamoTable(client, table, now);
    this.#ttlDays = ttlDays;
    this.#time = neverBack(now);
  }

  async store(episode: Episode, { signal, watermarks }: StoreOptions = {}): Promise<'stored' | 'known'> {
    const item = toItem(episode, timeOfPosition(episode, this.#time(), watermarks), this.#ttlDays);
    const once = { ConditionExpression: `attribute_not_exists(${TABLE.partitionKey})`, signal };
    const stored = await this.#table.attempt('store an episode', () => this.#table.putIf(item, once));
    return stored ? 'stored' : 'known';
  }

  async *after(
    cell: string,
    watermarks: readonly string[],
    until: number,
  ): AsyncIterable<IndexedEpisode | CorruptEpisode> {
    for (let shard = 0; shard < SHARDS; shard++) {
      // Every position is longer than a bare time, so both ends are excluded.
      const after = `${watermarks[shard] || storedAtKey(0)}!`;
      const end = storedAtKey(until);
      // Another run has read beyond `until`; DynamoDB refuses a range that ends before it starts.
      if (after > end) continue;
      const query = this.#table.shard(TABLE.byCell, cell, shard, [after, end]);
      for await (const item of this.#table.pages(query)) {
        yield { ...readable(item), shard, position: text(item, TABLE.byCell.sortKey) };
      }
    }
  }

  async recent(cell: string, limit: number): Promise<readonly Episode[]> {
    // Reading this many per shard includes the newest of all.
    return (await this.newest(cell, limit)).slice(0, limit);
  }

  async newest(cell: string, perShard: number): Promise<readonly Episode[]> {
    return (await this.#newest(TABLE.byCell, cell, perShard)).flatMap((item) => readable(item).episode ?? []);
  }

  async newcomers(cell: string, limit: number): Promise<readonly string[]> {
    // A hash spreads users evenly over shards, so that no shard has many more than its share of the
    // newest.
    const perShard = Math.min(limit, 64 + Math.ceil((2 * limit) / SHARDS));
    return (await this.#newest(TABLE.newcomers, cell, perShard)).slice(0, limit).map(userOf);
  }

  async count(cell: string): Promise<{ episodes: number; complete: boolean }> {
    const pages = await Promise.all(
      Array.from({ length: SHARDS }, (_, shard) =>
        this.#table.firstPage({ ...this.#table.shard(TABLE.byCell, cell, shard), Select: 'COUNT' }),
      ),
    );
    return {
      episodes: pages.reduce((sum, { Count = 0 }) => sum + Count, 0),
      complete: pages.every(({ LastEvaluatedKey }) => LastEvaluatedKey === undefined),
    };
  }

  async cells(): Promise<readonly string[]> {
    const page = await this.#table.firstPage({ ...this.#table.partition(CELLS), Limit: MAX_CELLS });
    return (page.Items ?? []).map((item) => text(item, TABLE.sortKey));
  }

  async announce(cell: string): Promise<void> {
    await this.#table.attempt('announce a cell', () => this.#table.put(keyOf(CELLS, cell)));
  }

  async strategy(cell: string): Promise<CellStrategy | undefined> {
    return this.#document<CellStrategy>(cell, STRATEGY, 'strategy');
  }

  async recordStrategy(strategy: CellStrategy): Promise<void> {
    const item = {
      ...keyOf(cellPartition(strategy.cell), STRATEGY),
      strategy: { S: JSON.stringify(strategy) },
    };
    await this.#table.attempt('record a strategy', () => this.#table.put(item));
  }

  async *ofUser(userKey: string): AsyncIterable<EpisodeOfUser> {
    for await (const item of this.#table.pages(this.#table.user(userKey))) {
      if (isEpisode(item)) yield readable(item);
    }
  }

  async forgetUser(userKey: string): Promise<number> {
    let removed = 0;
    let keys: Item[] = [];
    for await (const item of this.#table.pages(this.#table.user(userKey))) {
      keys.push(keyOf(text(item, TABLE.partitionKey), text(item, TABLE.sortKey)));
      removed += 1;
      if (keys.length < BATCH) continue;
      await this.#table.removeAll(keys);
      keys = [];
    }
    if (keys.length > 0) await this.#table.removeAll(keys);
    return removed;
  }

  async recordPrior(cell: string, summary: PriorSummary): Promise<void> {
    const item = {
      ...keyOf(cellPartition(cell), SKILLS),
      skillsVersion: number(summary.skillsVersion),
      summary: { S: JSON.stringify(summary) },
    };
    const unlessLater = {
      ConditionExpression: 'attribute_not_exists(skillsVersion) OR skillsVersion <= :version',
      ExpressionAttributeValues: { ':version': number(summary.skillsVersion) },
    };
    await this.#table.attempt('record the prior', () => this.#table.putIf(item, unlessLater));
    if (summary.skillsVersion === 1) await this.announce(cell);
  }

  async prior(cell: string): Promise<PriorSummary | undefined> {
    return this.#document<PriorSummary>(cell, SKILLS, 'summary');
  }

  async #document<T>(cell: string, sort: string, attribute: string): Promise<T | undefined> {
    const document = text((await this.#table.get(cellPartition(cell), sort)) ?? {}, attribute);
    return document === '' ? undefined : (JSON.parse(document) as T);
  }

  /** The newest of every shard, newest first over all shards. */
  async #newest(index: typeof TABLE.byCell | typeof TABLE.newcomers, cell: string, perShard: number) {
    const shards = Array.from({ length: SHARDS }, (_, shard) =>
      this.#table.firstPage({
        ...this.#table.shard(index, cell, shard),
        ScanIndexForward: false,
        Limit: perShard,
      }),
    );
    return (await Promise.all(shards)).flatMap(({ Items = [] }) => Items).sort(byNewest(index));
  }
}

/** One bad item must not hide all others from every query. */
function readable(item: Item): EpisodeOfUser {
  try {
    return { episode: fromItem(item) };
  } catch (error) {
    if (error instanceof CorruptObjectError) return { error };
    throw error;
  }
}

function keyOf(partition: string, sort: string): Item {
  return { [TABLE.partitionKey]: { S: partition }, [TABLE.sortKey]: { S: sort } };
}

function cellPartition(cell: string): string {
  return `CELL#${cell}`;
}
