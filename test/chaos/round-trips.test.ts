import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { CHAOS_SETTINGS, synthesizeChaos } from './assembly.ts';
import { type ChaosStack, provideLearning, startChaosStack } from './chaos-stack.ts';
import { createWorkload, newMessageId } from './workload.ts';

let assemblyDir: string;
let running: ChaosStack;
const { items, messages } = createWorkload({ seed: 1, events: 60, users: 2, ...CHAOS_SETTINGS });

beforeAll(async () => {
  assemblyDir = mkdtempSync(join(tmpdir(), 'attune-round-trips-'));
  await synthesizeChaos(assemblyDir);
  running = await startChaosStack({ assemblyDir, concurrency: 1 });
  await provideLearning(running, items);
});
afterAll(async () => {
  await running?.stop();
  rmSync(assemblyDir, { recursive: true, force: true });
});

/**
 * Gives the bundled function a batch with several messages of one user, and returns its requests.
 */
async function requestsOfBatch(from: number, count: number): Promise<string[]> {
  const ofOneUser = messages.filter(
    ({ groupId, fate }) => groupId === messages[0]!.groupId && fate === 'applied',
  );
  const Records = ofOneUser.slice(from, from + count).map(({ groupId, body }) => ({
    messageId: newMessageId(),
    body,
    attributes: { MessageGroupId: groupId, SentTimestamp: '1' },
  }));
  expect(Records).toHaveLength(count);
  const before = running.requests.length;
  const answer = await running.stack.invoke(running.output('updateFunctionName'), { Records });
  expect(answer).toEqual({ batchItemFailures: [] });
  return running.requests
    .slice(before)
    .map(({ operation }) => operation)
    .filter((operation) => operation !== 'GET basis/' && operation !== 'GET skills/')
    .sort();
}

test('a batch of one user costs one GET when cold and none when warm, one PUT, and one write to the table', async () => {
  expect(await requestsOfBatch(0, 4)).toEqual(['GET adapters/', 'PUT adapters/', 'PutItem']);
  expect(await requestsOfBatch(4, 5)).toEqual(['PUT adapters/', 'PutItem']);
  const adapter = (await running.adapters.load(messages[0]!.groupId))?.adapter;
  expect(adapter).toMatchObject({ version: 2, lastEpisode: { context: { events: 5 } } });
});
