import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Ended, runAttune as run } from '../support/run-attune.ts';

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
  XDG_STATE_HOME: folder,
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

/** Without lines of progress, which a busy machine prints. */
async function runAttune(...args: Parameters<typeof run>): Promise<Ended> {
  const ended = await run(...args);
  return { ...ended, stderr: ended.stderr.replace(/^publishing [\d,]+ interactions\n/gm, '') };
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
    stdout: expect.stringMatching(
      /^published 3 interactions in 2 events; batch [0-9a-f]{16}\nto see events that the deployment refuses, run: npx attune dlq list --outputs \S+outputs\.json\n$/,
    ),
    stderr: '',
  });
  expect(published()).toEqual([
    { userId: 'a', items: ['1', '3'] },
    { userId: 'b', items: ['2'] },
  ]);
});

test('attune publish says where to find events of items that the catalogue lacks', async () => {
  const { stdout } = await runAttune(['publish', '-', '--queue-url', queueUrl], {
    env: env(),
    input: line({ itemId: '1', embedding: undefined }),
  });
  expect(stdout).toMatch(
    /\nto see events .*, for example one without embedding of an item that the catalogue lacks, run: npx attune dlq list --outputs <file>\n$/,
  );
});

test('attune publish names invalid lines, publishes the others, and exits with 1', async () => {
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
    expect.stringMatching(
      /^attune: correct these lines, then run: npx attune publish - --queue-url .* --batch-id \S+$/,
    ),
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

test('a missing queue is reported once, however many lines there are', async () => {
  const input = Array.from({ length: 500 }, (_, i) => line({ userId: `user ${i}` })).join('\n');
  const { code, stderr } = await runAttune(['publish', '-', '--queue-url', `${queueUrl}x`], {
    env: env(),
    input,
  });
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /^attune: 500 not sent, from line 1: not-found: .*QueueDoesNotExist.*\nattune: to continue, run: .*\n$/,
  );
});

test('Ctrl-C stops reading, reports, and exits with 130', async () => {
  const { code, stdout, stderr } = await runAttune(['publish', '-', '--queue-url', queueUrl], {
    env: env(),
    // More than pipes hold: after the write, most of it has been read, and stdin stays open for
    // more.
    started: (child) =>
      child.stdin.write(`${line({ itemId: '1' })}\n`.repeat(20_000), () => child.kill('SIGINT')),
  });
  expect(code).toBe(130);
  expect(stdout).toMatch(/^published 0 interactions in 0 events; batch \S+\n$/);
  expect(stderr).toMatch(
    /^attune: \d+ not sent, from line 1: aborted: publishing was stopped\nattune: the rest of the input was not read\nattune: to continue, run: .*\n$/,
  );
});

/** Publishes a file of lines and returns the JSON report. */
async function publishLines(name: string, lines: readonly (string | Uint8Array)[], ...args: string[]) {
  const file = join(folder, name);
  await writeFile(
    file,
    Buffer.concat(lines.map((each) => Buffer.concat([Buffer.from(each), Buffer.from('\n')]))),
  );
  const ended = await runAttune(['publish', file, '--queue-url', queueUrl, '--json', ...args], {
    env: env(),
  });
  return { ...ended, report: JSON.parse(ended.stdout) };
}

test('a repeated publish under the same batch id sends corrected lines, and no line twice', async () => {
  const lines = ['1', '2', '3', '4'].map((itemId) => line({ itemId }));
  const broken = lines.with(2, '{oops');
  const first = await publishLines('a.jsonl', broken, '--batch-id', 'b');
  expect(first).toMatchObject({ code: 1, report: { interactions: 3, duplicates: 0 } });
  const second = await publishLines('a.jsonl', lines, '--batch-id', 'b');
  expect(second).toMatchObject({ code: 0, report: { interactions: 1, duplicates: 3 } });
  const items = published().flatMap((event) => event.items);
  expect(items.sort()).toEqual(['1', '2', '3', '4']);
});

test('the same file published twice without a batch id is recognised, another file is not', async () => {
  const lines = ['1', '1', '2'].map((itemId) => line({ itemId }));
  const first = await publishLines('b.jsonl', lines);
  expect(first.report).toMatchObject({ interactions: 3, duplicates: 0 });
  const second = await publishLines('b.jsonl', lines);
  expect(second.report).toMatchObject({ batchId: first.report.batchId, interactions: 0, duplicates: 3 });
  const other = await publishLines('b.jsonl', [...lines, line({ itemId: '3' })]);
  expect(other.report).toMatchObject({ interactions: 4, duplicates: 0 });
});

test('unchanged events keep their ids on a machine that has no journal', async () => {
  const lines = [line({ itemId: '1' }), line({ userId: 'b', itemId: '2' })];
  await publishLines('c.jsonl', lines, '--batch-id', 'c');
  const args = ['publish', join(folder, 'c.jsonl'), '--queue-url', queueUrl, '--batch-id', 'c', '--json'];
  const { stdout } = await runAttune(args, { env: { ...env(), XDG_STATE_HOME: join(folder, 'elsewhere') } });
  expect(JSON.parse(stdout)).toMatchObject({ interactions: 2, duplicates: 0 });
  // The queue recognises both by their deduplication ids.
  expect(published()).toHaveLength(2);
});

test('bytes that are not UTF-8 are refused by line, and no other user gets them', async () => {
  const latin1 = (userId: string) => Buffer.from(line({ userId, itemId: '1' }), 'latin1');
  const lines = [latin1('J\xe4n'), latin1('J\xf6n'), line({ userId: 'Jän', itemId: '2' })];
  const { code, stderr, report } = await publishLines('d.jsonl', lines);
  expect(code).toBe(1);
  expect(stderr).toContain('from line 1: not-utf-8: found bytes that are not UTF-8, expected UTF-8');
  expect(report.failed.map((failure: { line: number }) => failure.line)).toEqual([1, 2]);
  expect(published()).toEqual([{ userId: 'Jän', items: ['2'] }]);
});

test('a line ends at LF only: U+2028, U+2029 and CR between tokens are part of the JSON', async () => {
  const lines = [line({ itemId: 'x\u2028y\u2029z' }), line({ itemId: '2' }).replace(',', ',\r'), 'oops'];
  const { report } = await publishLines('e.jsonl', lines);
  expect(report.failed).toMatchObject([{ line: 3, code: 'not-json' }]);
  expect(published()).toEqual([{ userId: 'a', items: ['x\u2028y\u2029z', '2'] }]);
});

test('embeddings are checked against the deployment in the outputs before anything is sent', async () => {
  const outputs = join(folder, 'settings.json');
  const settings = { embeddingDim: 64, embeddingModel: 'm', rank: 4, scalingFactor: 1, learner: 'bayesian' };
  const stack = { FeedbackQueueUrl: queueUrl, LearningSettings: JSON.stringify(settings) };
  await writeFile(outputs, JSON.stringify({ Attune: stack }));
  const refused = await runAttune(['publish', '-', '--outputs', outputs], { env: env(), input: line({}) });
  expect(refused.stderr).toContain('dimension: embedding: found 16 numbers, expected 64 numbers');
  const differs = await runAttune(['publish', '-', '--outputs', outputs, '--embedding-dim', '16'], {
    env: env(),
  });
  expect(differs).toMatchObject({
    code: 2,
    stderr: `attune: --embedding-dim: found 16, expected 64, the value of ${outputs}\n`,
  });
  expect(published()).toEqual([]);
});

test('--resend sends published interactions again, under the same ids', async () => {
  const lines = [line({ itemId: '1' }), line({ userId: 'b', itemId: '2' })];
  const skipped = 'published 0 interactions in 0 events; 2 were published before (--resend sends them again)';
  const file = join(folder, 'f.jsonl');
  await publishLines('f.jsonl', lines);
  const again = await runAttune(['publish', file, '--queue-url', queueUrl], { env: env() });
  expect(again.stdout).toContain(skipped);
  const { report } = await publishLines('f.jsonl', lines, '--resend');
  expect(report).toMatchObject({ interactions: 2, duplicates: 0 });
  expect(published()).toHaveLength(2);
});

test('an interaction published under a wrong model is sent again under the right one', async () => {
  const lines = [line({ itemId: '1' })];
  await publishLines('g.jsonl', lines, '--batch-id', 'g', '--embedding-model', 'wrong');
  const { report } = await publishLines('g.jsonl', lines, '--batch-id', 'g', '--embedding-model', 'right');
  expect(report).toMatchObject({ interactions: 1, duplicates: 0 });
});

test('a batch id that leaves no room for an event id is refused', async () => {
  const args = ['publish', '-', '--queue-url', queueUrl, '--batch-id', 'x'.repeat(101)];
  const { code, stderr } = await runAttune(args, { env: env() });
  expect(code).toBe(2);
  expect(stderr).toContain('expected 1 to 100 characters');
});
