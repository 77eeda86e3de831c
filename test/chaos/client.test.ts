import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DeleteMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { receive, type SqsUnderTest, sqsUnderTest } from '../contract/queues.ts';
import { startFaultProxy } from './fault-proxy.ts';
import { FaultSchedule } from './faults.ts';

const RUN = fileURLToPath(new URL('./client-run.ts', import.meta.url));
const INTERACTIONS = 140;
const LIVES = 5;

let sqs: SqsUnderTest;
beforeAll(async () => {
  sqs = await sqsUnderTest();
});
afterAll(() => sqs?.stop());

test('the client loses no acknowledged event and repeats none, under throttling, resets, timeouts and kills', async () => {
  const { queueUrl } = await sqs.createQueues();
  const faults = new FaultSchedule('client', 0.5);
  let timeouts = 0;
  let kill = () => {};
  const proxy = await startFaultProxy({
    service: 'sqs',
    // The queue's URL has a host name that not every resolver knows.
    target: `http://127.0.0.1:${new URL(queueUrl).port}`,
    record: () => {},
    kill: () => kill(),
    decide({ operation }) {
      const fault = faults.forRequest(operation);
      // One is enough, because the client needs 5 seconds to give up a request.
      return fault === 'timeout' && ++timeouts > 1 ? 'connection-reset' : fault;
    },
  });
  const folder = await mkdtemp(join(tmpdir(), 'attune-client-'));
  const journal = join(folder, 'journal');
  await writeFile(journal, '');
  try {
    let code: number | null = null;
    let lives = 0;
    while (code !== 0) {
      // The kills are over; the last process shall finish.
      if (++lives > LIVES) faults.calmDown();
      const args = [RUN, proxy.endpoint, queueUrl, journal, String(INTERACTIONS)];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
      kill = () => child.kill('SIGKILL');
      [code] = await once(child, 'exit');
    }
    expect(lives).toBeGreaterThan(2);
    for (const fault of ['throttled', 'connection-reset', 'response-lost', 'timeout', 'kill-after'])
      expect(faults.counts.get(fault), fault).toBeGreaterThan(0);

    const received = await drain(queueUrl);
    expect(new Set(received).size).toBe(received.length);
    const accepted = (await readFile(journal, 'utf8'))
      .split('\n')
      .flatMap((line) => (line.startsWith('accepted ') ? [Number(line.slice('accepted '.length))] : []));
    expect(accepted.filter((i) => !received.includes(i))).toEqual([]);
    const own = Array.from({ length: INTERACTIONS / 2 }, (_, i) => 2 * i);
    expect(received.filter((i) => i % 2 === 0).sort((a, b) => a - b)).toEqual(own);
  } finally {
    await proxy.close();
    await rm(folder, { recursive: true });
  }
});

/** The numbers of all interactions that the queue holds. */
async function drain(queueUrl: string): Promise<number[]> {
  const found: number[] = [];
  for (;;) {
    const messages = await receive(sqs.client, queueUrl);
    if (messages.length === 0) return found;
    for (const { Body = '', ReceiptHandle } of messages) {
      const { interactions } = JSON.parse(Body) as { interactions: { itemId: string }[] };
      found.push(...interactions.map(({ itemId }) => Number(itemId.slice('item-'.length))));
      await sqs.client.send(new DeleteMessageCommand({ QueueUrl: queueUrl, ReceiptHandle }));
    }
  }
}
