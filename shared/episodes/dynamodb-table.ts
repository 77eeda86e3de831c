import {
  BatchWriteItemCommand,
  ConditionalCheckFailedException,
  type DynamoDBClient,
  GetItemCommand,
  PutItemCommand,
  type PutItemCommandInput,
  QueryCommand,
  type QueryCommandInput,
  type QueryCommandOutput,
  ScanCommand,
  type ScanCommandOutput,
  type WriteRequest,
} from '@aws-sdk/client-dynamodb';
import { TABLE } from '../config/names.ts';
import { InvalidInputError, UnavailableError } from '../errors.ts';
import { shardKey } from './episode-index.ts';
import { type Item, number, text, userPartition } from './episode-item.ts';

/** Most items that one request writes or removes. */
export const BATCH = 25;
const MAX_BATCH_ATTEMPTS = 8;

type Index = typeof TABLE.byCell | typeof TABLE.newcomers;

/** The requests of the ReasoningBank to its table, with failures as UnavailableError. */
export class DynamoTable {
  readonly client: DynamoDBClient;
  readonly name: string;
  /** Most items that {@link putAll} takes. */
  readonly batch = BATCH;
  /** Epoch milliseconds. */
  readonly now: () => number;

  constructor(client: DynamoDBClient, name: string, now: () => number) {
    this.client = client;
    this.name = name;
    this.now = now;
  }

  /** @throws errors of the client */
  async put(
    item: Item,
    {
      signal,
      ...condition
    }: Partial<PutItemCommandInput> & { readonly signal?: AbortSignal | undefined } = {},
  ): Promise<void> {
    const command = new PutItemCommand({ TableName: this.name, Item: item, ...condition });
    await this.client.send(command, signal === undefined ? {} : { abortSignal: signal });
  }

  /**
   * @returns whether the condition held
   * @throws other errors of the client
   */
  async putIf(item: Item, condition: Parameters<DynamoTable['put']>[1]): Promise<boolean> {
    try {
      await this.put(item, condition);
      return true;
    } catch (error) {
      if (error instanceof ConditionalCheckFailedException) return false;
      throw error;
    }
  }

  /** All items of the table, including expired ones, page by page. */
  async *scan(): AsyncGenerator<Item, void, undefined> {
    let from: Item | undefined;
    do {
      const scan = new ScanCommand({ TableName: this.name, ExclusiveStartKey: from });
      const page: ScanCommandOutput = await this.attempt('read the table', () => this.client.send(scan));
      yield* page.Items ?? [];
      from = page.LastEvaluatedKey;
    } while (from !== undefined);
  }

  /**
   * Writes items and replaces existing ones with the same keys.
   * @param items at most {@link BATCH}
   */
  putAll(items: readonly Item[]): Promise<void> {
    return this.#writeAll(
      'write items',
      items.map((Item) => ({ PutRequest: { Item } })),
    );
  }

  /** @param keys at most {@link BATCH} */
  removeAll(keys: readonly Item[]): Promise<void> {
    return this.#writeAll(
      'remove episodes',
      keys.map((Key) => ({ DeleteRequest: { Key } })),
    );
  }

  /** Sends one request, and then again the parts that DynamoDB did not process. */
  async #writeAll(action: string, all: WriteRequest[]): Promise<void> {
    await this.attempt(action, async () => {
      let requests = all;
      for (let attempt = 1; requests.length > 0; attempt++) {
        if (attempt > MAX_BATCH_ATTEMPTS) throw new Error(`${requests.length} items were left over`);
        const batch = new BatchWriteItemCommand({ RequestItems: { [this.name]: requests } });
        const { UnprocessedItems = {} } = await this.client.send(batch);
        requests = UnprocessedItems[this.name] ?? [];
      }
    });
  }

  async get(partition: string, sort: string): Promise<Item | undefined> {
    const key = { [TABLE.partitionKey]: { S: partition }, [TABLE.sortKey]: { S: sort } };
    const get = new GetItemCommand({ TableName: this.name, Key: key });
    return (await this.attempt('read an item', () => this.client.send(get))).Item;
  }

  /** All items of a query, page by page. */
  async *pages(input: QueryCommandInput): AsyncIterable<Item> {
    let from: Item | undefined;
    do {
      const page: QueryCommandOutput = await this.firstPage(
        from === undefined ? input : { ...input, ExclusiveStartKey: from },
      );
      yield* page.Items ?? [];
      from = page.LastEvaluatedKey;
    } while (from !== undefined);
  }

  /** One page of at most 1 MB of items. */
  firstPage(input: QueryCommandInput): Promise<QueryCommandOutput> {
    return this.attempt('read episodes', () => this.client.send(new QueryCommand(input)));
  }

  /**
   * One shard of an index, or its part between two positions. DynamoDB deletes expired items up to
   * days late, so every read filters them out.
   */
  shard(index: Index, cell: string, shard: number, between?: readonly [string, string]): QueryCommandInput {
    return {
      TableName: this.name,
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
        ':now': number(Math.floor(this.now() / 1000)),
        ...(between === undefined ? {} : { ':from': { S: between[0] }, ':to': { S: between[1] } }),
      },
    };
  }

  /** All items of one user, consistently read. */
  user(userKey: string): QueryCommandInput {
    return { ...this.partition(userPartition(userKey)), ConsistentRead: true };
  }

  partition(partition: string): QueryCommandInput {
    return {
      TableName: this.name,
      KeyConditionExpression: '#partition = :partition',
      ExpressionAttributeNames: { '#partition': TABLE.partitionKey },
      ExpressionAttributeValues: { ':partition': { S: partition } },
    };
  }

  async attempt<T>(action: string, request: () => Promise<T>): Promise<T> {
    try {
      return await request();
    } catch (cause) {
      const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
      // Whether DynamoDB refuses this request for good.
      if (cause instanceof Error && cause.name === 'ValidationException')
        throw new InvalidInputError(`cannot ${action} in DynamoDB`, reason, 'a valid request', { cause });
      throw new UnavailableError(`cannot ${action} in DynamoDB: ${reason}`, { cause });
    }
  }
}

/** Newest first by an index. */
export function byNewest(index: Index): (a: Item, b: Item) => number {
  return (a, b) => (text(a, index.sortKey) < text(b, index.sortKey) ? 1 : -1);
}
