import { randomUUID } from 'node:crypto';
import {
  type AttributeValue,
  ConditionalCheckFailedException,
  DeleteItemCommand,
  GetItemCommand,
  PutItemCommand,
  QueryCommand,
  UpdateItemCommand,
} from '@aws-sdk/client-dynamodb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TABLE } from '../../shared/config/names.ts';
import { type DynamoDbUnderTest, dynamoDbUnderTest } from './table.ts';

type Item = Record<string, AttributeValue>;

let db: DynamoDbUnderTest;

beforeAll(async () => {
  db = await dynamoDbUnderTest();
});
afterAll(() => db.stop());

const keyOf = (pk: string, sk = '1'): Item => ({
  [TABLE.partitionKey]: { S: pk },
  [TABLE.sortKey]: { S: sk },
});
const put = (item: Item, condition?: string) =>
  db.client.send(
    new PutItemCommand({
      TableName: db.table,
      Item: item,
      ...(condition && { ConditionExpression: condition }),
    }),
  );
const get = async (key: Item) =>
  (await db.client.send(new GetItemCommand({ TableName: db.table, Key: key, ConsistentRead: true }))).Item;
const ABSENT = `attribute_not_exists(${TABLE.partitionKey})`;

describe('a conditional write', () => {
  it('creates an item for one of several racing writers, and the others fail', async () => {
    const pk = randomUUID();
    const results = await Promise.allSettled(
      Array.from({ length: 8 }, (_, i) => put({ ...keyOf(pk), writer: { N: String(i) } }, ABSENT)),
    );
    const winners = results.flatMap((result, i) => (result.status === 'fulfilled' ? [i] : []));
    expect(winners).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(ConditionalCheckFailedException);
    }
    expect((await get(keyOf(pk)))?.writer).toEqual({ N: String(winners[0]) });
  });

  it('leaves the item as it is when its condition does not hold', async () => {
    const pk = randomUUID();
    await put({ ...keyOf(pk), version: { N: '2' } });
    const update = (from: string) =>
      db.client.send(
        new UpdateItemCommand({
          TableName: db.table,
          Key: keyOf(pk),
          UpdateExpression: 'SET version = :to',
          ConditionExpression: 'version = :from',
          ExpressionAttributeValues: { ':from': { N: from }, ':to': { N: '3' } },
        }),
      );
    await expect(update('1')).rejects.toThrow(ConditionalCheckFailedException);
    expect((await get(keyOf(pk)))?.version).toEqual({ N: '2' });
    await update('2');
    expect((await get(keyOf(pk)))?.version).toEqual({ N: '3' });
  });
});

describe('an item', () => {
  it('is read as it was written: numbers, bytes, lists, maps, booleans, null and empty text', async () => {
    const item: Item = {
      ...keyOf(randomUUID()),
      integer: { N: '9007199254740993' },
      fraction: { N: '0.1234567890123456789' },
      tiny: { N: '-1.5E-100' },
      bytes: { B: new Uint8Array([0, 1, 127, 128, 255]) },
      floats: { B: new Uint8Array(new Float32Array([1.5, -0, 3e38]).buffer) },
      list: { L: [{ N: '1' }, { S: 'ü' }, { M: { deep: { BOOL: true } } }] },
      nothing: { NULL: true },
      empty: { S: '' },
    };
    await put(item);
    const read = await get(keyOf(item[TABLE.partitionKey]?.S ?? ''));
    expect({ ...read, tiny: { N: String(Number(read?.tiny?.N)) } }).toEqual({
      ...item,
      tiny: { N: '-1.5e-100' },
    });
  });

  it('of more than 400 KB is refused', async () => {
    const bytes = { B: new Uint8Array(400 * 1024) };
    await expect(put({ ...keyOf(randomUUID()), bytes })).rejects.toThrow(
      'Item size has exceeded the maximum allowed size',
    );
  });

  it('is read back at once after it was written, and gone at once after it was deleted', async () => {
    const key = keyOf(randomUUID());
    await put({ ...key, n: { N: '1' } });
    expect((await get(key))?.n).toEqual({ N: '1' });
    await db.client.send(new DeleteItemCommand({ TableName: db.table, Key: key }));
    expect(await get(key)).toBeUndefined();
  });
});

describe('a query', () => {
  const query = async (cell: string, options: { limit?: number; from?: string } = {}) => {
    const pages: string[][] = [];
    let start: Item | undefined;
    do {
      const page = await db.client.send(
        new QueryCommand({
          TableName: db.table,
          IndexName: TABLE.byCell.index,
          KeyConditionExpression: '#cell = :cell AND #storedAt >= :from',
          ExpressionAttributeNames: { '#cell': TABLE.byCell.partitionKey, '#storedAt': TABLE.byCell.sortKey },
          ExpressionAttributeValues: { ':cell': { S: cell }, ':from': { S: options.from ?? '0' } },
          ScanIndexForward: false,
          Limit: options.limit,
          ExclusiveStartKey: start,
        }),
      );
      pages.push((page.Items ?? []).map((item) => item[TABLE.byCell.sortKey]?.S ?? ''));
      start = page.LastEvaluatedKey;
    } while (start !== undefined);
    return pages;
  };
  const fill = async (cell: string, times: readonly string[]) => {
    for (const time of times) {
      await put({
        ...keyOf(randomUUID()),
        [TABLE.byCell.partitionKey]: { S: cell },
        [TABLE.byCell.sortKey]: { S: time },
      });
    }
  };

  it('of an index gives the newest first, from a time on, and of its own cell only', async () => {
    const cell = randomUUID();
    await fill(cell, ['2026-01-02', '2026-01-04', '2026-01-01', '2026-01-03']);
    await fill(`${cell}-other`, ['2026-01-05']);
    await put(keyOf(randomUUID()));
    await expect.poll(() => query(cell)).toEqual([['2026-01-04', '2026-01-03', '2026-01-02', '2026-01-01']]);
    expect(await query(cell, { from: '2026-01-03' })).toEqual([['2026-01-04', '2026-01-03']]);
  });

  it('continues after its limit without gap or repetition, also among equal times', async () => {
    const cell = randomUUID();
    const times = ['4', '3', '3', '3', '2', '1', '1'];
    await fill(cell, times);
    await expect.poll(async () => (await query(cell, { limit: 2 })).flat()).toEqual(times);
    const pages = await query(cell, { limit: 2 });
    expect(pages.slice(0, 3).map((page) => page.length)).toEqual([2, 2, 2]);
  });

  it('of the table gives a range of sort keys', async () => {
    const pk = randomUUID();
    for (const sk of ['a#1', 'a#2', 'b#1']) await put(keyOf(pk, sk));
    const { Items } = await db.client.send(
      new QueryCommand({
        TableName: db.table,
        KeyConditionExpression: 'pk = :pk AND begins_with(sk, :prefix)',
        ExpressionAttributeValues: { ':pk': { S: pk }, ':prefix': { S: 'a#' } },
      }),
    );
    expect(Items?.map((item) => item.sk?.S)).toEqual(['a#1', 'a#2']);
  });
});

describe('the expiry of items', () => {
  const NOW = Date.UTC(2026, 0, 1);
  const seconds = (ms: number) => ({ N: String(Math.floor(ms / 1000)) });

  it('leaves an expired item readable until it is deleted', async () => {
    const key = keyOf(randomUUID());
    await put({ ...key, [TABLE.expiresAt]: seconds(Date.now() - 60_000) });
    expect(await get(key)).toBeDefined();
  });

  it.skipIf(process.env.ATTUNE_CONTRACT_DYNAMODB)(
    'deletes expired items in the end, and no others',
    async () => {
      const expiries: Record<string, Item> = {
        expired: { [TABLE.expiresAt]: seconds(NOW) },
        'not yet': { [TABLE.expiresAt]: seconds(NOW + 1000) },
        'too long ago': { [TABLE.expiresAt]: seconds(NOW - 6 * 365 * 24 * 3_600_000) },
        'no number': { [TABLE.expiresAt]: { S: '1' } },
        never: {},
      };
      const pk = randomUUID();
      for (const [sk, expiry] of Object.entries(expiries)) await put({ ...keyOf(pk, sk), ...expiry });
      expect(await db.deleteExpired?.(NOW)).toBe(1);
      const left = Object.keys(expiries).map(async (sk) =>
        (await get(keyOf(pk, sk))) === undefined ? [] : [sk],
      );
      expect((await Promise.all(left)).flat()).toEqual(['not yet', 'too long ago', 'no number', 'never']);
    },
  );
});
