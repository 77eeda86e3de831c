import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { userKey } from '../../shared/config/user-key.ts';
import { DynamoTable } from '../../shared/episodes/dynamodb-table.ts';
import { cellOf } from '../../shared/episodes/episode.ts';
import { itemToJson } from '../../shared/episodes/item-json.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { type RecordsStack, startRecordsStack } from '../support/records-stack.ts';

const SETTINGS = { embeddingDim: 16, embeddingModel: 'm', rank: 2, scalingFactor: 1, learner: 'bayesian' };
const USERS = ['ada', 'bob', 'carl'];

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let stack: RecordsStack;
let folder: string;
let before: { objects: Map<string, string>; items: string[] };

beforeAll(async () => {
  stack = await startRecordsStack(SETTINGS);
  for (const user of USERS) await stack.learn(user, 3);
  const { adapter } = (await stack.adapters.load(userKey('ada')))!;
  const embeddings = [Float16Array.of(1, 0.5)];
  await stack.episodes.store({ ...adapter.lastEpisode!, version: 9, embeddings });
  await stack.pending.put({ ...adapter.lastEpisode!, version: 10, embeddings });
  await stack.objects.put(`skills/${cellOf(SETTINGS)}`, Buffer.from('skills'));
  await stack.objects.put('catalogue/shards/x.items', Buffer.from('items'));
  await stack.objects.put(`consolidation/${cellOf(SETTINGS)}.lease`, Buffer.from('{"expiresAt":1}'));
  before = { objects: await objectsOf(stack.objects), items: await itemsOf(stack.outputs.TableName!) };
  before.objects.delete(`consolidation/${cellOf(SETTINGS)}.lease`);
  folder = join(stack.folder('backup'), 'first');
  const backup = await stack.attune(['backup', '--to', folder, '--json']);
  expect(backup.json()).toMatchObject({ items: 10, objects: 6 });
});
afterAll(() => stack.stop());

async function objectsOf(objects: ObjectStore): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for await (const { key, etag } of objects.list('')) found.set(key, etag);
  return found;
}

const tableOf = (name: string) => new DynamoTable(stack.dynamodb, name, Date.now);
async function itemsOf(name: string): Promise<string[]> {
  return (await Array.fromAsync(tableOf(name).scan()))
    .map((item) => itemToJson(Object.fromEntries(Object.entries(item).sort())))
    .sort();
}

async function eraseBucket(): Promise<void> {
  for (const { key, versionId } of await Array.fromAsync(stack.objects.versionsUnder('')))
    await stack.objects.delete(key, { versionId });
}

test('a restore brings back a lost bucket to the byte, and a second restore changes nothing', async () => {
  await eraseBucket();
  expect((await stack.attune(['restore', '--from', folder, '--json'])).json()).toMatchObject({
    objects: 6,
    kept: 0,
  });
  expect(await objectsOf(stack.objects)).toEqual(before.objects);
  expect((await stack.attune(['restore', '--from', folder, '--json'])).json()).toMatchObject({
    objects: 0,
    kept: 6,
  });
  await stack.learn('ada', 1, 'later');
  expect((await stack.adapters.find(userKey('ada'))).adapter?.version).toBe(4);
});

test('a restore replaces objects that differ only with --replace', async () => {
  const learned = (await objectsOf(stack.objects)).get(`adapters/${userKey('ada')}`);
  await stack.attune(['restore', '--from', folder]);
  expect((await objectsOf(stack.objects)).get(`adapters/${userKey('ada')}`)).toBe(learned);
  const replaced = (await stack.attune(['restore', '--from', folder, '--replace', '--json'])).json();
  expect(replaced).toMatchObject({ objects: 1, kept: 5 });
  expect(await objectsOf(stack.objects)).toEqual(before.objects);
});

test('a table is restored from the backup, and into another table and bucket', async () => {
  const table = tableOf(stack.outputs.TableName!);
  const items = await Array.fromAsync(table.scan());
  await table.removeAll(items.map(({ pk, sk }) => ({ pk: pk!, sk: sk! })));
  expect(await itemsOf(stack.outputs.TableName!)).toEqual([]);
  expect((await stack.attune(['restore', '--from', folder, '--json'])).json()).toMatchObject({ items: 10 });
  expect(await itemsOf(stack.outputs.TableName!)).toEqual(before.items);

  const { OtherBucketName = '', OtherTableName = '' } = stack.outputs;
  await stack.attune(['restore', '--from', folder, '--table', OtherTableName, '--bucket', OtherBucketName]);
  expect(await itemsOf(OtherTableName)).toEqual(before.items);
  expect(await objectsOf(new ObjectStore(stack.s3, OtherBucketName))).toEqual(before.objects);
});

test('a restore copies items from a table that DynamoDB restored beside the lost one', async () => {
  const { TableName = '', OtherTableName = '' } = stack.outputs;
  const items = await Array.fromAsync(tableOf(TableName).scan());
  await tableOf(TableName).removeAll(items.map(({ pk, sk }) => ({ pk: pk!, sk: sk! })));
  const copied = await stack.attune(['restore', '--from-table', OtherTableName, '--json']);
  expect(copied.json()).toMatchObject({ items: 10, forgotten: 0 });
  expect(await itemsOf(TableName)).toEqual(before.items);
  const episodes = await Array.fromAsync(stack.episodes.ofUser(userKey('ada')));
  expect(episodes.map(({ episode }) => episode?.version)).toEqual([1, 2, 3, 9]);
  expect(episodes.at(-1)?.episode?.embeddings).toEqual([Float16Array.of(1, 0.5)]);
});

test('a restore brings back objects deleted since a time, and none deleted before', async () => {
  await stack.objects.put('catalogue/old', Buffer.from('old'));
  await stack.objects.delete('catalogue/old');
  await vi.waitFor(() => expect(Date.now() % 1000).toBeLessThan(50), { timeout: 3_000, interval: 10 });
  const since = new Date(Math.floor(Date.now() / 1000) * 1000 + 1000);
  await vi.waitFor(() => expect(Date.now()).toBeGreaterThanOrEqual(since.getTime()), {
    timeout: 3_000,
    interval: 10,
  });
  const lasting = [...before.objects].filter(([key]) => !key.startsWith('pending/'));
  for (const [key] of lasting) await stack.objects.delete(key);
  const restored = await stack.attune(['restore', '--deleted-since', since.toISOString(), '--json']);
  expect(restored.json()).toMatchObject({ objects: lasting.length });
  expect(await objectsOf(stack.objects)).toEqual(before.objects);
});

test('a forgotten user stays forgotten after every kind of restore', async () => {
  await stack.attune(['forget', 'bob', '--settle', '0']);
  const restored = await stack.attune(['restore', '--from', folder, '--replace', '--json']);
  expect(restored.json()).toMatchObject({ forgotten: 4 });
  expect((await stack.adapters.find(userKey('bob'))).tombstone).toBeDefined();
  expect(await Array.fromAsync(stack.episodes.ofUser(userKey('bob')))).toEqual([]);
  const receipt = await stack.attune(['forget', 'bob', '--settle', '0', '--json']);
  expect(receipt.json()).toMatchObject({ verified: true, removed: { episodes: 0, adapterVersions: 0 } });
});

test('a restore without a source, of no backup, and a backup into a folder that holds one are refused', async () => {
  expect(await stack.attune(['restore'])).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--from'),
  });
  const missing = await stack.attune(['restore', '--from', stack.folder('empty')]);
  expect(missing).toMatchObject({ code: 2, stderr: expect.stringContaining('table.jsonl') });
  expect(await stack.attune(['backup', '--to', folder])).toMatchObject({ code: 2 });
});
