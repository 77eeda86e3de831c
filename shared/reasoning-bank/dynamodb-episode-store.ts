import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  type DynamoDBClient,
  PutItemCommand,
  QueryCommand,
  type QueryCommandInput,
} from '@aws-sdk/client-dynamodb';
import { UnavailableError } from '../errors.ts';
import { TABLE } from '../runtime/names.ts';
import type { Episode } from './episode.ts';
import { SHARDS, shardKey, storedAtKey } from './episode-index.ts';
import {
  fromItem,
  type Item,
  isEpisode,
  number,
  text,
  toItem,
  userOf,
  userPartition,
} from './episode-item.ts';
import type { EpisodeStore, IndexedEpisode } from './episode-store.ts';
import type { Skills } from './skills.ts';

export interface DynamoEpisodeStoreOptions {
  readonly table: string;
  readonly ttlDays: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

/** The ReasoningBank's episodes in one DynamoDB table; see docs/reasoning-bank.md. */
export class DynamoEpisodeStore implements EpisodeStore {
  readonly #client: DynamoDBClient;
  readonly #table: string;
  readonly #ttlDays: number;
  readonly #now: () => number;

  constructor(client: DynamoDBClient, { table, ttlDays, now = Date.now }: DynamoEpisodeStoreOptions) {
    this.#client = client;
    this.#table = table;
    this.#ttlDays = ttlDays;
    this.#now = now;
  }

  async store(
    episode: Episode,
    { signal }: { readonly signal?: AbortSignal } = {},
  ): Promise<'stored' | 'known'> {
    const put = new PutItemCommand({
      TableName: this.#table,
      Item: toItem(episode, this.#now(), this.#ttlDays),
      ConditionExpression: `attribute_not_exists(${TABLE.partitionKey})`,
    });
    try {
      await this.#client.send(put, signal === undefined ? {} : { abortSignal: signal });
      return 'stored';
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return 'known';
      throw unavailable('store an episode', error);
    }
  }

  async *after(cell: string, watermarks: readonly string[], until: number): AsyncIterable<IndexedEpisode> {
    for (let shard = 0; shard < SHARDS; shard++) {
      // Every position is longer than a bare time, so both ends are left out.
      const after = `${watermarks[shard] || storedAtKey(0)}!`;
      for await (const item of this.#pages(
        this.#query(TABLE.byCell, cell, shard, [after, storedAtKey(until)]),
      )) {
        yield { episode: fromItem(item), shard, position: text(item, TABLE.byCell.sortKey) };
      }
    }
  }

  async recent(cell: string, limit: number): Promise<readonly Episode[]> {
    return (await this.#newest(TABLE.byCell, cell, limit)).map(fromItem);
  }

  async newcomers(cell: string, limit: number): Promise<readonly string[]> {
    return (await this.#newest(TABLE.newcomers, cell, limit)).map(userOf);
  }

  async *ofUser(userKey: string): AsyncIterable<Episode> {
    for await (const item of this.#pages(this.#partition(userKey))) {
      if (isEpisode(item)) yield fromItem(item);
    }
  }

  async forgetUser(userKey: string): Promise<number> {
    let removed = 0;
    for await (const item of this.#pages(this.#partition(userKey))) {
      const { [TABLE.partitionKey]: partition, [TABLE.sortKey]: sort } = item;
      const key = { [TABLE.partitionKey]: partition!, [TABLE.sortKey]: sort! };
      try {
        await this.#client.send(new DeleteItemCommand({ TableName: this.#table, Key: key }));
      } catch (error) {
        throw unavailable('remove an episode', error);
      }
      removed += 1;
    }
    return removed;
  }

  async recordSkills(cell: string, skills: Skills): Promise<void> {
    const { prior, items, evidence, progress } = skills;
    const put = new PutItemCommand({
      TableName: this.#table,
      Item: {
        [TABLE.partitionKey]: { S: `CELL#${cell}` },
        [TABLE.sortKey]: { S: 'SKILLS' },
        version: number(skills.version),
        priorVersion: number(skills.priorVersion),
        noiseVariance: number(prior.noiseVariance),
        meanReward: number(prior.meanReward),
        items: number(items.sums.size),
        episodes: number(progress.episodes),
        consolidatedAt: number(progress.at),
        ...(evidence === null ? {} : { evidence: { S: JSON.stringify(evidence) } }),
      },
    });
    try {
      await this.#client.send(put);
    } catch (error) {
      throw unavailable('record skills', error);
    }
  }

  /** The newest of every shard, merged; `limit` of each are enough to hold the newest `limit` of all. */
  async #newest(index: Index, cell: string, limit: number): Promise<Item[]> {
    const shards = Array.from({ length: SHARDS }, (_, shard) =>
      this.#firstPage({ ...this.#query(index, cell, shard), ScanIndexForward: false, Limit: limit }),
    );
    const items = (await Promise.all(shards)).flat();
    items.sort((a, b) => (text(a, index.sortKey) < text(b, index.sortKey) ? 1 : -1));
    return items.slice(0, limit);
  }

  /**
   * One shard of an index, or the part of it between two positions. DynamoDB deletes expired items up to days late, so every
   * read leaves them out itself.
   */
  #query(index: Index, cell: string, shard: number, between?: readonly [string, string]): QueryCommandInput {
    return {
      TableName: this.#table,
      IndexName: index.index,
      KeyConditionExpression: `#shard = :shard${between === undefined ? '' : ' AND #storedAt BETWEEN :from AND :to'}`,
      FilterExpression: '#expiresAt > :now',
      ExpressionAttributeNames: {
        '#shard': index.partitionKey,
        '#expiresAt': TABLE.expiresAt,
        ...(between === undefined ? {} : { '#storedAt': index.sortKey }),
      },
      ExpressionAttributeValues: {
        ':shard': { S: shardKey(cell, shard) },
        ':now': number(Math.floor(this.#now() / 1000)),
        ...(between === undefined ? {} : { ':from': { S: between[0] }, ':to': { S: between[1] } }),
      },
    };
  }

  /** All items of one user, as they stand now. */
  #partition(userKey: string): QueryCommandInput {
    return {
      TableName: this.#table,
      ConsistentRead: true,
      KeyConditionExpression: '#user = :user',
      ExpressionAttributeNames: { '#user': TABLE.partitionKey },
      ExpressionAttributeValues: { ':user': { S: userPartition(userKey) } },
    };
  }

  async #firstPage(input: QueryCommandInput): Promise<Item[]> {
    try {
      return (await this.#client.send(new QueryCommand(input))).Items ?? [];
    } catch (error) {
      throw unavailable('read episodes', error);
    }
  }

  async *#pages(input: QueryCommandInput): AsyncIterable<Item> {
    let from: Item | undefined;
    do {
      let page: { Items?: Item[] | undefined; LastEvaluatedKey?: Item | undefined };
      try {
        page = await this.#client.send(
          new QueryCommand(from === undefined ? input : { ...input, ExclusiveStartKey: from }),
        );
      } catch (error) {
        throw unavailable('read episodes', error);
      }
      yield* page.Items ?? [];
      from = page.LastEvaluatedKey;
    } while (from !== undefined);
  }
}

type Index = typeof TABLE.byCell | typeof TABLE.newcomers;

function unavailable(action: string, cause: unknown): UnavailableError {
  const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return new UnavailableError(`cannot ${action} in DynamoDB: ${reason}`, { cause });
}
