import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { processBatch } from '../../../functions/update-adapters/process-batch.ts';
import type { QuarantinedMessage } from '../../../shared/adapter-store/quarantine.ts';
import { eventKey } from '../../../shared/adapter-store/recent-events.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import type { Episode } from '../../../shared/reasoning-bank/episode.ts';
import { PREFIX } from '../../../shared/runtime/names.ts';
import { type FifoBatch, FifoQueue } from '../../chaos/fifo-queue.ts';
import { expectedAdapters, learnedBytes } from '../../chaos/oracle.ts';
import { createWorkload, newMessageId } from '../../chaos/workload.ts';
import { type Call, Container, createWorld, type Fault, SETTINGS, type World } from './container.ts';

const FAULTS: readonly Fault[] = [
  'unavailable',
  'lost',
  'lost-retried',
  'conflict',
  'kill-before',
  'kill-after',
  'hang',
  'freeze',
];

/** Delivers everything to containers that fail at random, two batches at a time, until the queue is empty. */
async function runWithFaults(world: World, queue: FifoQueue, seed: number): Promise<Map<Fault, number>> {
  const random = createRandom(`faults ${seed}`);
  const injected = new Map<Fault, number>();
  let calm = 0;
  const decide = (call: Call): Fault => {
    if (calm > 0 || random.next() > 0.15) return 'none';
    const fault = FAULTS[random.integer(FAULTS.length)]!;
    // A 412 without another writer is only conceivable where there are others.
    if (fault === 'conflict' && call !== 'put adapters/') return 'none';
    if (fault === 'lost-retried' && !call.startsWith('put')) return 'none';
    injected.set(fault, (injected.get(fault) ?? 0) + 1);
    return fault;
  };
  const containers: Container[] = [];
  let now = 0;

  const deliver = async (slot: number, batch: FifoBatch): Promise<void> => {
    let container = containers[slot];
    if (container === undefined || container.dead) {
      container = new Container(world, decide, () => 1_000 + now);
      containers[slot] = container;
    }
    container.time = new AbortController();
    const report = await Promise.race([
      processBatch(batch.messages, { ...container.services, signal: container.time.signal }),
      container.killed.then(() => undefined),
    ]);
    // The answer may get lost on its way, and with it the news that the batch is done.
    if (report !== undefined && (calm > 0 || random.next() > 0.05))
      queue.settle(batch, new Set(report.failed));
    if (random.next() < 0.5) for (const thaw of container.frozen.splice(0)) thaw();
  };

  for (let round = 0; queue.size > 0; round++) {
    if (round > 2_000) throw new Error('the queue does not empty');
    calm = round > 200 ? 1 : 0;
    const first = queue.receive(now);
    // Visibility sometimes ends while the batch is still at work, and another container gets the same messages.
    if (random.next() < 0.2) now += 40;
    const second = queue.receive(now);
    await Promise.all([deliver(0, first), deliver(1, second)]);
    now += 10;
  }
  calm = 1;
  for (const container of containers) for (const thaw of container.frozen.splice(0)) thaw();
  for (let i = 0; i < 20; i++) await turn();
  return injected;
}

async function run(seed: number) {
  const workload = createWorkload({ seed, events: 60, users: 4, ...SETTINGS });
  const world = createWorld(workload.items);
  const queue = new FifoQueue(createRandom(`queue ${seed}`), 30);
  for (const { groupId, body } of workload.messages) {
    queue.send({ messageId: newMessageId(), groupId, body, sentAt: 0 });
  }
  const injected = await runWithFaults(world, queue, seed);
  return { workload, world, injected };
}

test('whatever fails, every event takes effect exactly once, in its order, and leaves one episode per version', async () => {
  const injected = new Map<Fault, number>();
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 1e9 }), async (seed) => {
      const { workload, world, injected: faults } = await run(seed);
      for (const [fault, count] of faults) injected.set(fault, (injected.get(fault) ?? 0) + count);

      const expected = expectedAdapters(workload.messages, world.learning, SETTINGS);
      const pending = world.objects.documents<Episode>(PREFIX.pending);
      for (const [userKey, { eventIds, digest }] of expected) {
        const adapter = (await world.adapters.load(userKey))?.adapter;
        expect([...(adapter?.recentEvents ?? [])]).toEqual(eventIds.map(eventKey));
        expect(learnedBytes(adapter!, world.learning)).toBe(digest);

        const stored = await Array.fromAsync(world.episodes.ofUser(userKey));
        const waiting = pending.filter((episode) => episode.userKey === userKey);
        const versions = new Set([...stored, ...waiting].map(({ version }) => version));
        expect([...versions].sort((a, b) => a - b)).toEqual(
          Array.from({ length: adapter!.version }, (_, i) => i + 1),
        );
      }
      const adapters = await Array.fromAsync(world.objects.list(PREFIX.adapters));
      expect(adapters).toHaveLength(expected.size);

      const quarantined = world.objects.documents<QuarantinedMessage>(PREFIX.quarantine);
      const poison = workload.messages.filter(({ fate }) => typeof fate === 'object');
      expect(quarantined.map(({ body }) => body).sort()).toEqual(poison.map(({ body }) => body).sort());
      for (const { body, fate } of poison) {
        expect(fate).toEqual({ code: quarantined.find((message) => message.body === body)?.code });
      }
    }),
    { numRuns: 60 },
  );
  for (const fault of FAULTS) expect(injected.get(fault), fault).toBeGreaterThan(0);
});
