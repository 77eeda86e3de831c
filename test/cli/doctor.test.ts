import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { OUTPUT } from '../../shared/config/names.ts';
import { SETTINGS, startWholeStack } from '../stack/running-stack.ts';
import { runAttune } from '../support/run-attune.ts';

let running: Awaited<ReturnType<typeof startWholeStack>>;
let folder: string;

beforeAll(async () => {
  running = await startWholeStack();
  folder = mkdtempSync(join(tmpdir(), 'attune-doctor-'));
});
afterAll(async () => {
  await running?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function outputsWith(changes: Record<string, string> = {}): string {
  const file = join(folder, 'outputs.json');
  writeFileSync(file, JSON.stringify({ Attune: { ...running.stack.outputs, ...changes } }));
  return file;
}

interface Checked {
  readonly check: string;
  readonly status: string;
  readonly found: string;
  readonly advice?: string;
}

async function doctor(outputs = outputsWith(), env: Record<string, string> = {}, ...args: string[]) {
  const { code, stdout, stderr } = await runAttune(['doctor', '--outputs', outputs, '--json', ...args], {
    env: { ...running.stack.environment, ...env },
  });
  expect(stderr).toBe('');
  const results: Checked[] = JSON.parse(stdout);
  return { code, results, of: (check: string) => results.find((result) => result.check === check) };
}

const keys = async () => (await Array.fromAsync(running.objects.list(''))).map(({ key }) => key);

test('the doctor reports what a deployment without a basis lacks', async () => {
  const { code, results, of } = await doctor();
  expect(code).toBe(0);
  expect(results.map(({ check, status }) => `${check}: ${status}`)).toEqual([
    'credentials: ok',
    'region: ok',
    'functions: ok',
    'queues: ok',
    'bucket: ok',
    'table: ok',
    'concurrency: ok',
    'settings: ok',
    'basis: warning',
    'round trip: ok',
  ]);
  expect(of('basis')!.advice).toContain('attune basis build');
  expect(of('concurrency')!.found).toBe(
    'the account runs 10 functions at once; feedback takes at most 5 of them',
  );
});

test('a round trip leaves nothing behind', async () => {
  const items = Array.from({ length: 20 }, (_, i) => ({
    embedding: Array.from({ length: SETTINGS.embeddingDim }, (_, j) => Math.cos(i * j)),
  }));
  const input = items.map((item) => JSON.stringify(item)).join('\n');
  await runAttune(['basis', 'build', '-', '--outputs', outputsWith()], {
    env: running.stack.environment,
    input,
  });
  // Warm instances would read the new basis only after half a minute.
  await running.stack.recycle();
  const before = await keys();
  const { code, of } = await doctor();
  expect(code).toBe(0);
  expect(of('basis')).toMatchObject({
    status: 'ok',
    found: expect.stringMatching(/^[0-9a-f]{16}, of a catalogue$/),
  });
  expect(of('round trip')!.found).toMatch(
    /^an event took effect after \d+ ms, and personalize answered with it \(adapter\)$/,
  );
  expect(await keys()).toEqual(before);
  expect(await Array.fromAsync(running.objects.versionsUnder('adapters/'))).toEqual([]);
  expect(await running.episodes.recent('bayesian-r4-d16', 10)).toEqual([]);
});

test('without a round trip, the doctor writes nothing', async () => {
  const { results } = await doctor(outputsWith(), {}, '--no-round-trip');
  expect(results.at(-1)!.check).toBe('basis');
});

test('a stack in another region ends the checks with the variable to set', async () => {
  const url = 'https://sqs.eu-west-1.amazonaws.com/000000000000/Attune-feedback.fifo';
  const { code, results } = await doctor(outputsWith({ [OUTPUT.feedbackQueueUrl]: url }));
  expect(code).toBe(1);
  expect(results.at(-1)).toEqual({
    check: 'region',
    status: 'failed',
    found: 'us-east-1, but the stack is in eu-west-1',
    advice: 'export AWS_REGION=eu-west-1',
  });
});

test('the doctor finds outputs that differ from the settings of the functions', async () => {
  const settings = JSON.parse(running.output('learningSettings'));
  const changed = { [OUTPUT.learningSettings]: JSON.stringify({ ...settings, embeddingModel: 'other' }) };
  const { code, of } = await doctor(outputsWith(changed));
  expect(code).toBe(1);
  expect(of('settings')).toMatchObject({
    status: 'failed',
    found: expect.stringContaining('has ATTUNE_EMBEDDING_MODEL=test-model, the outputs say other'),
  });
  expect(of('basis')).toMatchObject({
    status: 'warning',
    found: expect.stringContaining('not what is deployed'),
  });
  expect(of('round trip')).toBeUndefined();
});

test('the doctor names missing permissions and the command that prints them', async () => {
  running.stack.permissions.permit('guest', { Version: '2012-10-17', Statement: [] });
  const { code, of } = await doctor(outputsWith(), { AWS_ACCESS_KEY_ID: 'guest' });
  expect(code).toBe(1);
  for (const [check, action] of [
    ['functions', 'lambda:GetFunctionConfiguration'],
    ['queues', 'sqs:GetQueueAttributes'],
    ['bucket', 's3:ListBucket'],
    ['table', 'dynamodb:Query'],
    ['concurrency', 'lambda:GetAccountSettings'],
    ['basis', 's3:GetObject'],
  ]) {
    expect(of(check!)).toMatchObject({
      status: 'failed',
      found: expect.stringContaining(`guest is not authorized to perform: ${action}`),
      advice: expect.stringContaining('attune policy doctor'),
    });
  }
});

test('the doctor names missing resources and missing credentials', async () => {
  const gone = outputsWith({
    [OUTPUT.updateFunctionName]: 'gone',
    [OUTPUT.deadLetterQueueUrl]: `${running.output('deadLetterQueueUrl')}x`,
  });
  const { of } = await doctor(gone);
  expect(of('functions')).toMatchObject({
    status: 'failed',
    advice: expect.stringContaining('deploy the stack'),
  });
  expect(of('queues')).toMatchObject({
    status: 'failed',
    advice: expect.stringContaining('deploy the stack'),
  });
  const none = {
    AWS_ACCESS_KEY_ID: '',
    AWS_SECRET_ACCESS_KEY: '',
    HOME: folder,
    AWS_CONFIG_FILE: '/nowhere',
    AWS_SHARED_CREDENTIALS_FILE: '/nowhere',
  };
  const { code, results } = await doctor(outputsWith(), none);
  expect(code).toBe(1);
  expect(results[0]).toMatchObject({
    check: 'credentials',
    status: 'failed',
    advice: expect.stringContaining('sign in'),
  });
  expect(results).toHaveLength(2);
});

test('dead letters are a warning', async () => {
  await running.sqs.send(
    new SendMessageCommand({
      QueueUrl: running.output('deadLetterQueueUrl'),
      MessageBody: 'x',
      MessageGroupId: 'x',
      MessageDeduplicationId: 'x',
    }),
  );
  const { of } = await doctor(outputsWith(), {}, '--no-round-trip');
  expect(of('queues')).toMatchObject({ status: 'warning', found: '1 dead letters, 0 messages wait' });
});
