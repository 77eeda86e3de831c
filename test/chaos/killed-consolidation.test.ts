import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ConsolidationReport } from '../../functions/consolidate-patterns/consolidate.ts';
import { PREFIX } from '../../shared/config/names.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { cellOf } from '../../shared/episodes/episode.ts';
import { encodeFeedbackEvent } from '../../shared/feedback/event.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { CHAOS_SETTINGS, synthesizeChaos } from './assembly.ts';
import { type ChaosStack, provideLearning, startChaosStack } from './chaos-stack.ts';
import type { SeenRequest } from './fault-proxy.ts';
import type { RequestFault } from './faults.ts';
import { newMessageId } from './workload.ts';

const USERS = 24;
const random = createRandom('killed consolidation');
const items = Array.from({ length: 30 }, () =>
  Float32Array.from({ length: CHAOS_SETTINGS.embeddingDim }, () => random.normal()),
);

let assemblyDir: string;
let running: ChaosStack;
let decide: (seen: SeenRequest) => RequestFault | undefined = () => undefined;
let episodes = 0;

beforeAll(async () => {
  assemblyDir = mkdtempSync(join(tmpdir(), 'attune-killed-'));
  await synthesizeChaos(assemblyDir, { skewed: false });
  running = await startChaosStack({
    assemblyDir,
    concurrency: 1,
    faults: { decide: (seen) => decide(seen) },
  });
  await provideLearning(running, items);
});
afterAll(async () => {
  await running?.stop();
  rmSync(assemblyDir, { recursive: true, force: true });
});

/** One update of every user. */
async function feedback(): Promise<void> {
  const Records = Array.from({ length: USERS }, (_, user) => {
    const item = (episodes + user) % items.length;
    const body = encodeFeedbackEvent({
      eventId: `event ${episodes}`,
      userId: `user ${user}`,
      occurredAt: '2026-01-01T00:00:00Z',
      interactions: [
        { itemId: `item ${item}`, embedding: items[item]!, reward: items[item]![0]! > 0 ? 0.9 : 0.1 },
      ],
    });
    return {
      messageId: newMessageId(),
      body,
      attributes: { MessageGroupId: userKey(`user ${user}`), SentTimestamp: '1' },
    };
  });
  const answer = await running.stack.invoke(running.output('updateFunctionName'), { Records });
  expect(answer).toEqual({ batchItemFailures: [] });
  episodes += USERS;
}

async function consolidate(force: boolean): Promise<ConsolidationReport> {
  const payload = { force, settleSeconds: 0 };
  return (await running.stack.invoke(
    running.output('consolidateFunctionName'),
    payload,
  )) as ConsolidationReport;
}

async function skillsInForce() {
  return (await learningObjects(running.objects, running.settings).population.refresh())!;
}

test.each([
  ['kill-after', 'GET adapters/', 'old'],
  ['kill-before', 'PUT skills/', 'old'],
  ['kill-after', 'PUT skills/', 'new'],
  ['kill-before', 'PutItem', 'new'],
] as const)(
  '%s %s leaves the %s population model, and the next run continues from there',
  async (fault, operation, left) => {
    await feedback();
    const before = await skillsInForce();
    const cell = cellOf(running.settings);
    let written = false;
    decide = ({ operation: seen, key }) => {
      if (key === `${PREFIX.skills}${cell}` && seen === 'PUT skills/') written = true;
      // Ignores the record of the previous population model.
      const meant = key !== '' || written;
      return seen === operation && meant ? fault : undefined;
    };
    await expect(consolidate(true)).rejects.toThrow('Runtime.ExitError');
    decide = () => undefined;

    if (left === 'old') {
      expect(await skillsInForce()).toEqual(before);
      expect((await consolidate(false)).status).toBe('running');
      expect(await consolidate(true)).toMatchObject({ status: 'consolidated', newEpisodes: USERS });
    } else {
      expect((await skillsInForce()).version).toBe(before.version + 1);
      expect((await consolidate(false)).status).toBe('nothing-new');
    }
    const population = await skillsInForce();
    expect(population.version).toBe(before.version + 1);
    expect(population.progress.episodes).toBe(episodes);
    expect(await running.episodes.prior(cell)).toMatchObject({ skillsVersion: population.version, episodes });
  },
);
