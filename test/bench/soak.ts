/**
 * A steady load on the local stack for the given time: memory and open handles must stay flat, and
 * the backlog bounded. `npm run soak -- [--minutes N] [--events-per-second N] [--json]`
 */
import { readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { METRIC } from '../../shared/config/names.ts';
import { FeedbackPublisher } from '../../shared/feedback/publisher.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { CHAOS_SETTINGS, synthesizeChaos } from '../chaos/assembly.ts';
import { provideLearning, startChaosStack } from '../chaos/chaos-stack.ts';
import { createWorkload } from '../chaos/workload.ts';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '1' },
    'events-per-second': { type: 'string', default: '40' },
    json: { type: 'boolean', default: false },
  },
});
const [minutes, rate] = [Number(values.minutes), Number(values['events-per-second'])];
if (!(minutes > 0) || !(rate > 0)) {
  process.stderr.write('usage: npm run soak -- [--minutes N] [--events-per-second N] [--json]\n');
  process.exit(2);
}
/** More would let the in-memory stores of the local stack grow too large. */
const USERS = 50;
const SAMPLES = 12;

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

interface Sample {
  readonly megabytes: number;
  readonly handles: number;
  readonly backlog: number;
}

const assemblyDir = await mkdtemp(join(tmpdir(), 'attune-soak-'));
const dataDir = await mkdtemp(join(tmpdir(), 'attune-soak-data-'));
try {
  await synthesizeChaos(assemblyDir, { skewed: false });
  // Data is on disk, so that memory shows what the code keeps and not what the stores hold.
  const running = await startChaosStack({ assemblyDir, dataDir, concurrency: 2, record: () => {} });
  try {
    const { items } = createWorkload({ seed: 1, events: 1, users: 1, ...CHAOS_SETTINGS });
    await provideLearning(running, items);
    const publisher = new FeedbackPublisher({
      queue: running.queue,
      embeddingDim: CHAOS_SETTINGS.embeddingDim,
    });
    const random = createRandom('soak');
    const samples: Sample[] = [];
    const startedAt = performance.now();
    let published = 0;
    for (let second = 1; second <= minutes * 60; second++) {
      const batch = Array.from({ length: rate }, () => ({
        userId: `user ${random.integer(USERS)}`,
        itemId: `item ${random.integer(items.length)}`,
        embedding: items[random.integer(items.length)]!,
        reward: random.next(),
      }));
      const report = await publisher.publish(batch);
      if (report.failed.length > 0) throw new Error(`not published: ${report.failed[0]!.message}`);
      published += report.events;
      await delay(Math.max(0, startedAt + second * 1_000 - performance.now()));
      if (second % Math.max(1, Math.round((minutes * 60) / SAMPLES)) === 0) samples.push(await sample());
    }
    await running.stack.idle();
    const { metrics } = running.stack;
    const delays = [...metrics.values(METRIC.eventToEffect)].sort((a, b) => a - b);
    const applied = metrics.sum(METRIC.eventsApplied);
    const half = Math.floor(samples.length / 2);
    const middle = (part: readonly Sample[], name: keyof Sample) =>
      part.map((one) => one[name]).sort((a, b) => a - b)[Math.floor(part.length / 2)] ?? 0;
    const growth = {
      // The first half warms up caches and the garbage collector.
      megabytes:
        middle(samples.slice(half), 'megabytes') - middle(samples.slice(half / 2, half), 'megabytes'),
      handles: middle(samples.slice(half), 'handles') - middle(samples.slice(half / 2, half), 'handles'),
    };
    const backlog = Math.max(...samples.map((one) => one.backlog));
    const steady = growth.megabytes < 64 && growth.handles < 8 && backlog < 5 * rate && applied === published;
    const result = {
      minutes,
      eventsPerSecond: rate,
      published,
      applied,
      backlogMost: backlog,
      eventToEffectMs: { p50: quantile(delays, 0.5), p99: quantile(delays, 0.99) },
      growth,
      samples,
      steady,
    };
    process.stdout.write(`${JSON.stringify(result, null, values.json ? 0 : 2)}\n`);
    process.exitCode = steady ? 0 : 1;

    async function sample(): Promise<Sample> {
      const { Attributes = {} } = await running.sqs.send(
        new GetQueueAttributesCommand({
          QueueUrl: running.output('feedbackQueueUrl'),
          AttributeNames: ['All'],
        }),
      );
      // Sampled after a garbage collection, because garbage would look like growth.
      collectGarbage();
      return {
        megabytes: Math.round(process.memoryUsage().rss / 2 ** 20),
        handles: readdirSync('/proc/self/fd').length,
        backlog:
          Number(Attributes.ApproximateNumberOfMessages) +
          Number(Attributes.ApproximateNumberOfMessagesNotVisible),
      };
    }
  } finally {
    await running.stop();
  }
} finally {
  for (const folder of [assemblyDir, dataDir]) await rm(folder, { recursive: true, force: true });
}

function quantile(sorted: readonly number[], q: number): number {
  return Math.round(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0);
}
