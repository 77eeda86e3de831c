import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DeleteMessageCommand, ReceiveMessageCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { updateUser } from '../../functions/update-adapters/update-user.ts';
import { LocalStack } from '../../infra/local/local-stack.ts';
import { decodeAdapter } from '../../shared/adapters/adapter-object.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import type { sqsClient } from '../../shared/config/clients/sqs.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { DynamoEpisodeStore } from '../../shared/episodes/dynamodb-episode-store.ts';
import { PendingEpisodes } from '../../shared/episodes/pending-episodes.ts';
import { Quarantine } from '../../shared/feedback/quarantine.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { temporaryFolder, writeAssembly } from '../support/assembly-fixture.ts';
import { Container, createWorld } from '../support/container.ts';
import { event, ITEMS } from '../support/feedback-events.ts';
import { localClients } from '../support/local-clients.ts';
import { bucket, queue, table } from '../support/records-stack.ts';
import { runAttune } from '../support/run-attune.ts';

const RESOURCES = { Dead: queue, Feedback: queue, Adapters: bucket, Bank: table };

let assembly: string;
let stack: LocalStack;
let names: string[];
let sqs: ReturnType<typeof sqsClient>;
let records: ReturnType<typeof openRecords>;

beforeAll(async () => {
  assembly = mkdtempSync(join(tmpdir(), 'attune-records-'));
  stack = await LocalStack.start({
    assemblyDir: writeAssembly(
      assembly,
      RESOURCES,
      {},
      {
        [OUTPUT.bucketName]: { Value: { Ref: 'Adapters' } },
        [OUTPUT.tableName]: { Value: { Ref: 'Bank' } },
        [OUTPUT.feedbackQueueUrl]: { Value: { Ref: 'Feedback' } },
        [OUTPUT.deadLetterQueueUrl]: { Value: { Ref: 'Dead' } },
      },
    ),
  });
  records = openRecords();
  sqs = records.sqs;
  const [bucket, table, queue, dead] = [
    OUTPUT.bucketName,
    OUTPUT.tableName,
    OUTPUT.feedbackQueueUrl,
    OUTPUT.deadLetterQueueUrl,
  ].map((name) => stack.outputs[name]!);
  names = ['--bucket', bucket!, '--table', table!, '--queue-url', queue!, '--dead-letter-queue-url', dead!];
});
afterAll(async () => {
  for (const client of [sqs, records.s3, records.dynamodb]) client.destroy();
  await stack.stop();
  rmSync(assembly, { recursive: true });
});

function openRecords() {
  const { s3, dynamodb, sqs } = localClients(stack.endpoints);
  const objects = new ObjectStore(s3, stack.outputs[OUTPUT.bucketName]!);
  return {
    s3,
    dynamodb,
    sqs,
    adapters: new AdapterStore(objects),
    pending: new PendingEpisodes(objects),
    quarantine: new Quarantine(objects),
    episodes: new DynamoEpisodeStore(dynamodb, { table: stack.outputs[OUTPUT.tableName]!, ttlDays: 90 }),
  };
}

/** Runs a command with the resource options that it accepts. */
async function attune(options: readonly string[], ...args: string[]) {
  const taken = options.flatMap((option) => [option, names[names.indexOf(option) + 1]!]);
  const { code, stdout, stderr } = await runAttune([...args, ...taken], { env: { ...stack.environment } });
  return { code, stdout, stderr, json: () => JSON.parse(stdout.trim().split('\n').at(-1)!) };
}

const BUCKET = ['--bucket'];
const USER = ['--bucket', '--table', '--dead-letter-queue-url'];
const MESSAGES = ['--bucket', '--dead-letter-queue-url'];

/** One event per version. */
async function learn(userId: string, events: number): Promise<void> {
  const world = createWorld(ITEMS);
  const services = { ...new Container(world).services, ...records };
  for (let n = 1; n <= events; n++) {
    await updateUser(userKey(userId), [event(`e${n}`, { userId, item: n })], world.learning, services);
  }
}

async function putDeadLetter(userId: string, body: string): Promise<void> {
  await sqs.send(
    new SendMessageCommand({
      QueueUrl: stack.outputs[OUTPUT.deadLetterQueueUrl]!,
      MessageBody: body,
      MessageGroupId: userKey(userId),
      MessageDeduplicationId: userKey(`${userId} ${body}`),
    }),
  );
}

async function putIntoQuarantine(
  userId: string | undefined,
  messageId: string,
  sentAt: number,
): Promise<void> {
  await records.quarantine.put({
    messageId,
    userKey: userId && userKey(userId),
    code: userId === undefined ? 'not-json' : 'embedding-model',
    reason: 'embeddingModel: found "old", expected "new"',
    messageGroupId: userKey('wrong group'),
    sentAt,
    quarantinedAt: sentAt + 1,
    body: `body of ${messageId}`,
  });
}

/** Receives the messages of the feedback queue. */
async function received(): Promise<{ group: string | undefined; body: string | undefined }[]> {
  const found = [];
  for (;;) {
    const QueueUrl = stack.outputs[OUTPUT.feedbackQueueUrl]!;
    const { Messages = [] } = await sqs.send(
      new ReceiveMessageCommand({
        QueueUrl,
        MaxNumberOfMessages: 10,
        MessageSystemAttributeNames: ['MessageGroupId'],
        VisibilityTimeout: 600,
      }),
    );
    if (Messages.length === 0) return found;
    for (const { Attributes, Body, ReceiptHandle } of Messages) {
      found.push({ group: Attributes?.MessageGroupId, body: Body });
      await sqs.send(new DeleteMessageCommand({ QueueUrl, ReceiptHandle }));
    }
  }
}

describe('attune history and rollback', () => {
  it('list the versions, and make an earlier one the newest', async () => {
    await learn('hal', 3);
    expect((await attune(BUCKET, 'history', 'hal', '--json')).json()).toMatchObject([
      { version: 3, events: 1, rewards: 3 },
      { version: 2, events: 1, rewards: 2 },
      { version: 1, events: 1, rewards: 1 },
    ]);
    const { code, stdout } = await attune(BUCKET, 'rollback', 'hal', '--to', '1');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: 'version 4 has the learned state of version 1; later events continue from it\n',
    });
    const history = (await attune(BUCKET, 'history', 'hal')).stdout.split('\n');
    expect(history[1]).toMatch(/^ {6}4 {2}\S+ {2}rollback +1 /);
    expect(history[2]).toMatch(/^ {6}3 {2}\S+ +1 +3 /);
  });

  it('report errors in one line', async () => {
    await learn('ida', 1);
    for (const [args, problem] of [
      [['rollback', 'nobody', '--to', '1'], 'attune: the user has no adapter\n'],
      [['rollback', 'ida', '--to', '1'], 'attune: to: found 1, expected a version before 1, the newest\n'],
    ] as const) {
      expect(await attune(BUCKET, ...args)).toMatchObject({ code: 2, stderr: problem });
    }
  });
});

describe('attune dlq', () => {
  it('lists and shows dead letters and quarantined messages, and leaves them in place', async () => {
    await putDeadLetter('dee', 'letter 1');
    await putIntoQuarantine('dee', 'bad-1', 1_000);
    await putIntoQuarantine(undefined, 'bad-2', 2_000);
    for (let look = 1; look <= 2; look++) {
      const listed = (await attune(MESSAGES, 'dlq', 'list', '--json')).json();
      expect(listed).toMatchObject([
        { from: 'dead-letters', groupId: userKey('dee'), bytes: 8 },
        { from: 'quarantine', messageId: 'bad-1', code: 'embedding-model', sentAt: 1_000 },
        { from: 'quarantine', messageId: 'bad-2', code: 'not-json' },
      ]);
    }
    expect((await attune(MESSAGES, 'dlq', 'list', '--user', 'someone')).stdout).toBe(
      '0 dead letters that can be received, 0 messages in quarantine\n',
    );
    const shown = (await attune(MESSAGES, 'dlq', 'show', 'bad-2')).json();
    expect(shown).toMatchObject({ from: 'quarantine', body: 'body of bad-2', quarantinedAt: 2_001 });
    expect((await attune(MESSAGES, 'dlq', 'show', 'bad-2', '--json')).json()).toEqual(shown);
    expect(await attune(MESSAGES, 'dlq', 'show', 'bad-3')).toMatchObject({ code: 2 });
  });

  it('redrives one user’s messages once, in order, under the user’s message group', async () => {
    await putDeadLetter('eve', 'letter 1');
    await putDeadLetter('eve', 'letter 2');
    await putDeadLetter('fay', 'letter 3');
    await putIntoQuarantine('eve', 'bad-4', 2_000);
    await putIntoQuarantine('eve', 'bad-3', 1_000);
    const all = [...MESSAGES, '--queue-url'];
    const redrive = () => attune(all, 'dlq', 'redrive', '--user', 'eve', '--json');
    expect((await redrive()).json()).toEqual({ redriven: { deadLetters: 2, quarantined: 2 }, failed: 0 });
    expect((await redrive()).json()).toEqual({ redriven: { deadLetters: 0, quarantined: 0 }, failed: 0 });
    expect(await received()).toEqual(
      ['letter 1', 'letter 2', 'body of bad-3', 'body of bad-4'].map((body) => ({
        group: userKey('eve'),
        body,
      })),
    );
  });

  it('can be interrupted between sending and removing without harm', async () => {
    await putIntoQuarantine('gus', 'bad-5', 1_000);
    const all = [...MESSAGES, '--queue-url'];
    await attune(all, 'dlq', 'redrive', '--user', 'gus');
    await putIntoQuarantine('gus', 'bad-5', 1_000);
    await attune(all, 'dlq', 'redrive', '--user', 'gus');
    expect(await received()).toHaveLength(1);
  });

  it('purges the named messages, and nothing without a name', async () => {
    expect(await attune(MESSAGES, 'dlq', 'purge')).toMatchObject({ code: 2 });
    const purged = await attune(MESSAGES, 'dlq', 'purge', '--code', 'not-json', '--json');
    expect(purged.json()).toEqual({ purged: { deadLetters: 0, quarantined: 1 }, failed: 0 });
    await attune(MESSAGES, 'dlq', 'purge', '--all');
    expect((await attune(MESSAGES, 'dlq', 'list', '--json')).json()).toEqual([]);
    expect(await received()).toEqual([]);
  });
});

describe('attune export and forget', () => {
  it('export writes everything stored about a user, and forget removes it', async () => {
    await learn('ada', 2);
    await putDeadLetter('ada', 'letter 1');
    await putDeadLetter('ada', 'letter 2');
    await putDeadLetter('bob', 'letter 3');
    await putIntoQuarantine('ada', 'bad-1', 1_000);
    const { adapter } = (await records.adapters.load(userKey('ada')))!;
    const embeddings = [Float16Array.of(1, 0.5)];
    await records.pending.put({ ...adapter.lastEpisode!, version: 9, embeddings });
    await records.episodes.store({ ...adapter.lastEpisode!, version: 3, embeddings });

    const folder = temporaryFolder();
    expect(await attune(USER, 'export', 'ada', '--to', folder)).toMatchObject({ code: 0, stderr: '' });
    expect(readdirSync(folder).sort()).toEqual([
      'adapter-versions.jsonl',
      'adapter.safetensors',
      'dead-letters.jsonl',
      'episodes.jsonl',
      'pending-episodes.jsonl',
      'quarantine.jsonl',
    ]);
    const lines = (file: string) =>
      readFileSync(join(folder, file), 'utf8')
        .trim()
        .split('\n')
        .map((l) => JSON.parse(l));
    expect(decodeAdapter(readFileSync(join(folder, 'adapter.safetensors')), 'exported')).toEqual(adapter);
    expect(lines('episodes.jsonl').map(({ version }) => version)).toEqual([1, 2, 3]);
    for (const file of ['episodes.jsonl', 'pending-episodes.jsonl']) {
      expect(lines(file).at(-1)).toMatchObject({ embeddings: [[1, 0.5]] });
    }
    expect(lines('adapter-versions.jsonl')).toMatchObject([
      { version: 2, record: adapter.state.record },
      { version: 1 },
    ]);
    expect(lines('quarantine.jsonl')).toMatchObject([{ body: 'body of bad-1' }]);

    // A typo drops nobody's events.
    const mistyped = await attune(USER, 'forget', 'adda', '--settle', '0', '--json');
    expect(mistyped.code).toBe(2);
    expect(mistyped.stderr).toContain('nothing is known about this user');
    expect((await records.adapters.find(userKey('adda'))).tombstone).toBeUndefined();
    const forget = () => attune(USER, 'forget', 'ada', '--settle', '0', '--json');
    const receipt = (await forget()).json();
    expect(receipt).toMatchObject({ userKey: userKey('ada'), verified: true });
    expect(receipt.removed).toMatchObject({
      adapterVersions: 2,
      episodes: 3,
      pendingEpisodes: 1,
      quarantined: 1,
      deadLetters: 2,
    });
    expect((await forget()).json().removed).toEqual({
      adapterVersions: 0,
      episodes: 0,
      pendingEpisodes: 0,
      quarantined: 0,
      deadLetters: 0,
    });
    expect(await attune(USER, 'export', 'ada', '--to', folder)).toMatchObject({
      code: 2,
      stderr: 'attune: user ada: found nothing\n',
    });
    expect((await attune(MESSAGES, 'dlq', 'list', '--json')).json()).toMatchObject([
      { groupId: userKey('bob') },
    ]);
  });
});
