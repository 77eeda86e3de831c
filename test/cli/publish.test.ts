import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { runAttune } from '../support/run-attune.ts';

let server: FauxqsServer;
let folder: string;
let queueUrl: string;
let queues = 0;

beforeAll(async () => {
  server = await startFauxqs({ port: 0, logger: false });
  folder = await mkdtemp(join(tmpdir(), 'attune-publish-'));
});

beforeEach(() => {
  ({ queueUrl } = server.createQueue(`feedback${++queues}.fifo`, { attributes: { FifoQueue: 'true' } }));
});

afterAll(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const env = () => ({
  AWS_ENDPOINT_URL_SQS: server.address,
  AWS_ACCESS_KEY_ID: 'local',
  AWS_SECRET_ACCESS_KEY: 'local',
});

const embedding = Array.from({ length: 16 }, (_, i) => i);
const line = (changes: object) => JSON.stringify({ userId: 'a', embedding, reward: 1, ...changes });

function published(): { userId: string; items: string[] }[] {
  const { messages } = server.inspectQueue(`feedback${queues}.fifo`)!;
  return messages.ready.map(({ body }) => {
    const { userId, interactions } = JSON.parse(body);
    return { userId, items: interactions.map((interaction: { itemId: string }) => interaction.itemId) };
  });
}

test('a file of JSON lines is published, with the queue of the stack outputs', async () => {
  const file = join(folder, 'feedback.jsonl');
  await writeFile(
    file,
    `\ufeff${line({ itemId: '1' })}\r\n\r\n${line({ userId: 'b', itemId: '2' })}\r\n${line({ itemId: '3' })}`,
  );
  const outputs = join(folder, 'outputs.json');
  await writeFile(outputs, JSON.stringify({ Attune: { FeedbackQueueUrl: queueUrl } }));
  expect(await runAttune(['publish', file, '--outputs', outputs], { env: env() })).toEqual({
    code: 0,
    stdout: 'published 3 interactions in 2 events\n',
    stderr: '',
  });
  expect(published()).toEqual([
    { userId: 'a', items: ['1', '3'] },
    { userId: 'b', items: ['2'] },
  ]);
});

test('lines that cannot be published are named, the others are, and the exit code is 1', async () => {
  const input = [
    line({ itemId: '1' }),
    '',
    'oops',
    line({ reward: 1.5 }),
    line({ embedding: [1] }),
    line({ itemId: '2' }),
  ];
  const args = ['publish', '-', '--queue-url', queueUrl, '--embedding-dim', '16', '--json'];
  const { code, stdout, stderr } = await runAttune(args, { env: env(), input: input.join('\n') });
  expect(code).toBe(1);
  expect(stderr.trim().split('\n')).toEqual([
    'attune: 1 not sent, line 3: not-json: found "oops", expected a JSON object',
    'attune: 1 not sent, line 4: limit: reward: found 1.5, expected a number in [0, 1]',
    'attune: 1 not sent, line 5: dimension: embedding: found 1 numbers, expected 16 numbers',
  ]);
  const report = JSON.parse(stdout);
  expect(report).toMatchObject({ interactions: 2, events: 1 });
  expect(
    report.failed.map((failure: { line: number; code: string }) => [failure.line, failure.code]),
  ).toEqual([
    [3, 'not-json'],
    [4, 'limit'],
    [5, 'dimension'],
  ]);
  expect(published()).toEqual([{ userId: 'a', items: ['1', '2'] }]);
});

test('a queue that does not exist is said once, however many lines there are', async () => {
  const input = Array.from({ length: 500 }, (_, i) => line({ userId: `user ${i}` })).join('\n');
  const { code, stderr } = await runAttune(['publish', '-', '--queue-url', `${queueUrl}x`], {
    env: env(),
    input,
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(/^attune: 500 not sent, from line 1: not-found: .*QueueDoesNotExist.*\n$/);
});

test('Ctrl-C ends the reading, reports, and exits with 130', async () => {
  const { code, stdout, stderr } = await runAttune(['publish', '-', '--queue-url', queueUrl], {
    env: env(),
    // More than pipes hold: once it is written, most of it was read, and stdin stays open for more.
    started: (child) =>
      child.stdin.write(`${line({ itemId: '1' })}\n`.repeat(20_000), () => child.kill('SIGINT')),
  });
  expect(code).toBe(130);
  expect(stdout).toBe('published 0 interactions in 0 events\n');
  expect(stderr).toMatch(/^attune: \d+ not sent, from line 1: aborted: publishing was stopped\n$/);
});
