import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { synthesize } from '../../infra/synth.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { encodeFeedbackEvent } from '../../shared/feedback/event.ts';
import { CHAOS_SETTINGS } from '../chaos/assembly.ts';
import { type ChaosStack, startChaosStack } from '../chaos/chaos-stack.ts';

let assemblyDir: string;
let chaos: ChaosStack;
/**
 * Number of adapter writes that S3 still refuses; the second refusal outlasts the SDK's attempts.
 */
let refusals = 2;

beforeAll(async () => {
  assemblyDir = await mkdtemp(join(tmpdir(), 'attune-redelivery-'));
  const { embeddingDim, embeddingModel, rank } = CHAOS_SETTINGS;
  synthesize({ check: false, outdir: assemblyDir, settings: { embeddingDim, embeddingModel, rank } });
  chaos = await startChaosStack({
    assemblyDir,
    faults: {
      decide: ({ operation }) =>
        operation === 'PUT adapters/' && refusals-- > 0 ? 'server-error' : undefined,
    },
  });
});
afterAll(async () => {
  await chaos.stop();
  await rm(assemblyDir, { recursive: true, force: true });
});

test('an event whose write failed takes effect seconds later, long before the visibility timeout of 180 seconds', async () => {
  const { embeddingDim } = CHAOS_SETTINGS;
  const body = encodeFeedbackEvent({
    eventId: 'refused once',
    userId: 'ada',
    occurredAt: '2026-01-01T00:00:00Z',
    interactions: [
      {
        itemId: 'item',
        embedding: Float32Array.from({ length: embeddingDim }, (_, i) => Math.sin(i)),
        reward: 1,
      },
    ],
  });
  const startedAt = performance.now();
  const messageGroupId = userKey('ada');
  await chaos.queue.sendBatch([{ id: '1', body, messageGroupId, messageDeduplicationId: '1' }]);
  await chaos.stack.idle();
  expect(refusals).toBeLessThan(0);
  expect(performance.now() - startedAt).toBeLessThan(90_000);
  expect((await chaos.adapters.load(messageGroupId))?.adapter.version).toBe(1);
});
