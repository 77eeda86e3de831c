import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  ChangeMessageVisibilityCommand,
  type Message,
  PurgeQueueCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { startS3 } from '../../infra/local/s3/server.ts';
import { startSqs } from '../../infra/local/sqs.ts';
import { AdapterStore, adapterKey } from '../../shared/adapters/adapter-store.ts';
import { buryUser } from '../../shared/adapters/forgetting.ts';
import { TOMBSTONE_DAYS } from '../../shared/adapters/tombstone.ts';
import { sqsClient } from '../../shared/config/clients/sqs.ts';
import { TOMBSTONE_TAG } from '../../shared/config/names.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { isMessageOf } from '../../shared/feedback/ownership.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { temporaryFolder } from '../support/assembly-fixture.ts';
import { LOCAL, localS3Client } from '../support/local-clients.ts';
import { type RecordsStack, startRecordsStack } from '../support/records-stack.ts';

const SETTINGS = { embeddingDim: 16, embeddingModel: 'm', rank: 2, scalingFactor: 1, learner: 'bayesian' };
const DAY_MS = 86_400_000;

vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let stack: RecordsStack;
beforeAll(async () => {
  stack = await startRecordsStack(SETTINGS);
});
afterAll(() => stack.stop());

let letters = 0;
async function putDeadLetter(groupId: string, body: string): Promise<void> {
  await stack.sqs.send(
    new SendMessageCommand({
      QueueUrl: stack.outputs.DeadLetterQueueUrl!,
      MessageBody: body,
      MessageGroupId: groupId,
      MessageDeduplicationId: String(letters++),
    }),
  );
}

/** Messages that the dead-letter queue delivers; they stay hidden for the given time. */
async function received(hiddenSeconds: number): Promise<Message[]> {
  const { Messages = [] } = await stack.sqs.send(
    new ReceiveMessageCommand({
      QueueUrl: stack.outputs.DeadLetterQueueUrl!,
      MaxNumberOfMessages: 10,
      VisibilityTimeout: hiddenSeconds,
    }),
  );
  return Messages;
}

const forget = (user: string) => stack.attune(['forget', user, '--settle', '0', '--json']);

describe('forget', () => {
  test('removes dead letters of the user in the message group of another user, and no others', async () => {
    await stack.learn('ada', 1);
    await putDeadLetter(userKey('bob'), '{"userId":"ada","secret":1}');
    await putDeadLetter('any group', '{"userId":"ada", cut off');
    await putDeadLetter(userKey('carl'), '{"userId":"carl","itemId":"ada"}');
    expect((await forget('ada')).json()).toMatchObject({ verified: true, removed: { deadLetters: 2 } });
    expect((await received(0)).map(({ Body }) => Body)).toEqual(['{"userId":"carl","itemId":"ada"}']);
    await stack.attune(['dlq', 'purge', '--all']);
  });

  test('gives no receipt while another consumer holds dead letters', async () => {
    await stack.learn('dora', 1);
    await putDeadLetter(userKey('dora'), '{"userId":"dora"}');
    const [held] = await received(600);
    const early = await forget('dora');
    expect(early).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('1 dead letters that another consumer holds'),
    });
    await stack.sqs.send(
      new ChangeMessageVisibilityCommand({
        QueueUrl: stack.outputs.DeadLetterQueueUrl!,
        ReceiptHandle: held!.ReceiptHandle!,
        VisibilityTimeout: 0,
      }),
    );
    expect((await forget('dora')).json()).toMatchObject({ verified: true, removed: { deadLetters: 1 } });
  });

  test('gives no receipt while dead letters wait behind others of their message group', async () => {
    await stack.learn('emil', 1);
    for (let n = 0; n < 12; n++) await putDeadLetter(userKey('fred'), `{"userId":"fred","n":${n}}`);
    const early = await forget('emil');
    expect(early).toMatchObject({ code: 1, stderr: expect.stringContaining('behind others of their group') });
    await stack.attune(['dlq', 'purge', '--user', 'fred']);
    expect((await forget('emil')).json()).toMatchObject({ verified: true });
  });

  test('removes unreadable messages in quarantine that contain the user id', async () => {
    await stack.learn('gina', 1);
    const common = {
      userKey: undefined,
      code: 'not-json',
      reason: '',
      messageGroupId: 'x',
      sentAt: 1,
      quarantinedAt: 2,
    };
    await stack.quarantine.put({ ...common, messageId: 'theirs', body: '{"userId":"gina", cut' });
    await stack.quarantine.put({ ...common, messageId: 'of-another', body: '{"userId":"gin' });
    expect((await forget('gina')).json()).toMatchObject({ removed: { quarantined: 1 } });
    const left = await Array.fromAsync(stack.objects.list('quarantine/unknown/'));
    expect(left.map(({ key }) => key)).toEqual(['quarantine/unknown/of-another']);
  });

  test('removes objects without decoding them', async () => {
    await stack.objects.put(adapterKey(userKey('hugo')), Buffer.from('rubbish'), { ifNoneMatch: true });
    expect((await forget('hugo')).json()).toMatchObject({ verified: true, removed: { adapterVersions: 1 } });
  });
});

test.each([
  ['{"userId":"ada"}', true],
  ['{"userId":"adam"}', false],
  ['{"userId":"bob","itemId":"ada"}', false],
  ['{"Message":"{\\"userId\\":\\"ada\\"}"}', true],
  ['{"Message":"{\\"userId\\":\\"adam\\"}"}', false],
  ['{"userId":"ada', false],
  ['["ada"]', true],
  ['null', false],
])('a message with the body %s is of ada: %s', (body, expected) => {
  expect(isMessageOf('ada', { groupId: 'another', body })).toBe(expected);
  expect(isMessageOf('ada', { groupId: userKey('ada'), body })).toBe(true);
});

test('an expired tombstone is deleted, but not an adapter that replaced it', async () => {
  let now = 20_000 * DAY_MS;
  const server = await startS3({ now: () => now });
  const client = localS3Client(server.endpoint);
  try {
    const tag = `${TOMBSTONE_TAG.key}=${TOMBSTONE_TAG.value}`;
    const rule = { prefix: 'adapters/', tag };
    server.createBucket('b', {
      versioned: true,
      expirations: [{ ...rule, days: TOMBSTONE_DAYS + 1 }],
      noncurrentExpirations: [
        { ...rule, days: 1 },
        { prefix: 'adapters/', days: 30, keepNewest: 10 },
      ],
    });
    const objects = new ObjectStore(client, 'b');
    const adapters = new AdapterStore(objects);
    const key = adapterKey(userKey('ada'));
    await buryUser(userKey('ada'), { adapters }, now);
    const other = adapterKey(userKey('bob'));
    await objects.put(other, Buffer.from('an adapter'), { ifNoneMatch: true });
    now += TOMBSTONE_DAYS * DAY_MS;
    expect((await adapters.find(userKey('ada'))).tombstone).toBeDefined();
    now += 3 * DAY_MS;
    expect(await objects.get(key)).toBeUndefined();
    now += 3 * DAY_MS;
    await objects.get(other);
    const left = await Array.fromAsync(objects.versions(key));
    expect(left.filter(({ deleteMarker }) => !deleteMarker)).toEqual([]);
    expect(await objects.get(other)).toBeDefined();
  } finally {
    client.destroy();
    await server.close();
  }
});

/** Number of occurrences of a text in the files below a folder. */
function occurrences(folder: string, text: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)))
    .reduce((sum, bytes) => sum + bytes.toString('latin1').split(text).length - 1, 0);
}

test('deleted objects and messages leave no bytes in the files of restarted local services', async () => {
  const folder = temporaryFolder();
  const id = 'user-0815-of-the-attack';
  const body = JSON.stringify({ userId: id, text: 'x'.repeat(200) });
  const inS3 = join(folder, 's3');
  const inSqs = join(folder, 'sqs');
  const withS3 = async (use: (objects: ObjectStore) => Promise<void>) => {
    const server = await startS3({ dataDir: inS3 });
    server.createBucket('b', { versioned: true });
    const client = localS3Client(server.endpoint);
    await use(new ObjectStore(client, 'b'));
    client.destroy();
    await server.close();
  };
  const withSqs = async (use: (sqs: ReturnType<typeof sqsClient>, url: string) => Promise<void>) => {
    const server = await startSqs({ dataDir: inSqs });
    server.ensureQueue('q', {});
    const client = sqsClient({ ...LOCAL, endpoint: server.endpoint });
    await use(client, `${server.endpoint}/000000000000/q`);
    client.destroy();
    await server.close();
  };
  await withS3(async (objects) => {
    for (let n = 0; n < 30; n++) await objects.put(`quarantine/k/${n}`, Buffer.from(body));
  });
  await withSqs(async (sqs, QueueUrl) => {
    for (let n = 0; n < 30; n++) await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: body }));
  });
  expect(occurrences(inS3, id)).toBeGreaterThanOrEqual(30);
  expect(occurrences(inSqs, id)).toBeGreaterThanOrEqual(30);
  await withS3(async (objects) => {
    const versions = await Array.fromAsync(objects.versionsUnder('quarantine/'));
    for (const { key, versionId } of versions) await objects.delete(key, { versionId });
  });
  await withSqs(async (sqs, QueueUrl) => {
    await sqs.send(new PurgeQueueCommand({ QueueUrl }));
  });
  await withS3(async () => {});
  await withSqs(async () => {});
  expect([occurrences(inS3, id), occurrences(inSqs, id)]).toEqual([0, 0]);
  rmSync(folder, { recursive: true, force: true });
});
