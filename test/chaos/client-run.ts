/**
 * Publishes interactions through the client and records acknowledgements: `node client-run.ts
 * <endpoint> <queue URL> <journal> <interactions>`. After a kill, a new run continues with the
 * interactions that the journal lacks. Even interactions have event ids, so they may be published
 * again; odd ones are published once.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import { createAttune } from '../../shared/client/index.ts';
import { LOCAL } from '../support/local-clients.ts';

/** Ends an abandoned process. */
const MOST_ROUNDS = 100;

const [endpoint = '', feedbackQueueUrl = '', journal = '', count = ''] = process.argv.slice(2);
const notes = readFileSync(journal, 'utf8').split('\n');
const known = new Set(notes);

await using attune = createAttune({
  resources: { feedbackQueueUrl },
  endpoint,
  ...LOCAL,
  maxWaitMs: 5,
  flushAt: 20,
  publisher: { sleep: async () => {} },
});

let left = Array.from({ length: Number(count) }, (_, i) => i).filter((i) => !known.has(`accepted ${i}`));
left = left.filter((i) => i % 2 === 0 || !known.has(`tried ${i}`));
for (let round = 0; left.length > 0; round++) {
  if (round === MOST_ROUNDS) throw new Error(`${left.length} interactions were never accepted`);
  const results = await Promise.allSettled(left.map(publish));
  // In the order of each user: messages blocked behind a failure follow it.
  left = left.filter((i, at) => results[at]!.status === 'rejected' && i % 2 === 0);
}

async function publish(i: number): Promise<void> {
  if (i % 2 === 1) appendFileSync(journal, `tried ${i}\n`);
  const own = i % 2 === 0 ? { eventId: `event-${i}` } : {};
  const embedding = new Float32Array(16).fill(i);
  await attune.publish({ userId: `user-${i % 7}`, itemId: `item-${i}`, embedding, reward: 1, ...own });
  appendFileSync(journal, `accepted ${i}\n`);
}
