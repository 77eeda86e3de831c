/**
 * Runs a workload on a stack with a data folder, and continues where a killed run stopped. It is a
 * process of its own, so that a test can kill it: `node durable-run.ts <assembly> <data> <seed>
 * <events>`. Exits when everything has taken effect.
 */
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHAOS_SETTINGS } from './assembly.ts';
import { provideLearning, startChaosStack } from './chaos-stack.ts';
import { durableMessages } from './durable-workload.ts';

const [assemblyDir = '', dataDir = '', seed = '', events = ''] = process.argv.slice(2);
const progress = join(dataDir, 'sent');
const { items, messages } = durableMessages(Number(seed), Number(events), CHAOS_SETTINGS);
const running = await startChaosStack({ assemblyDir, dataDir, concurrency: 2 });
await provideLearning(running, items);
for (let at = sentBefore(); at < messages.length; at += 10) {
  const batch = messages.slice(at, at + 10);
  // A batch without saved progress is sent again: new messages, the same events.
  await running.queue.sendBatch(
    batch.map(({ groupId, body }, i) => ({
      id: String(i),
      body,
      messageGroupId: groupId,
      messageDeduplicationId: `${process.pid}-${at + i}`,
    })),
  );
  writeFileSync(`${progress}.new`, String(at + 10));
  renameSync(`${progress}.new`, progress);
}
await running.stack.idle();
await running.stop();

function sentBefore(): number {
  try {
    return Number(readFileSync(progress, 'utf8'));
  } catch {
    return 0;
  }
}
