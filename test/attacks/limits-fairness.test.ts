import { SendMessageBatchCommand } from '@aws-sdk/client-sqs';
import { expect, test } from 'vitest';
import { EventSource } from '../../infra/local/event-source.ts';
import type { LocalFunction } from '../../infra/local/lambda/function.ts';
import { startSqs } from '../../infra/local/sqs.ts';
import { sqsClient } from '../../shared/config/clients/sqs.ts';
import { LOCAL } from '../support/local-clients.ts';

const USERS = 50;
const EVENTS_EACH = 34;
/** Events of one user, sent before all others. */
const HEAVY = 300;

/**
 * Position of every user in the order of invocations: how many had begun when the user's last event
 * was handled.
 */
async function lastInvocations(heavy: number): Promise<number[]> {
  const server = await startSqs({});
  const client = sqsClient({ ...LOCAL, endpoint: server.endpoint });
  try {
    const queue = server.ensureQueue('feedback.fifo', { FifoQueue: 'true', VisibilityTimeout: '600' });
    const groups = [
      ...Array<string>(heavy).fill('heavy'),
      ...Array.from({ length: EVENTS_EACH * USERS }, (_, i) => `user ${i % USERS}`),
    ];
    for (let at = 0; at < groups.length; at += 10) {
      const Entries = groups.slice(at, at + 10).map((MessageGroupId, i) => ({
        Id: String(i),
        MessageBody: MessageGroupId,
        MessageGroupId: MessageGroupId.replace(' ', '-'),
        MessageDeduplicationId: String(at + i),
      }));
      await client.send(new SendMessageBatchCommand({ QueueUrl: queue.url, Entries }));
    }
    const last = new Map<string, number>();
    let invocations = 0;
    const target = {
      async invoke(payload: string) {
        invocations += 1;
        for (const { body } of (JSON.parse(payload) as { Records: { body: string }[] }).Records)
          last.set(body, invocations);
        await new Promise(setImmediate);
        return { requestId: 'r', failed: false, payload: 'null' };
      },
    } as unknown as LocalFunction;
    const settings = { batchSize: 10, concurrency: 5, partialFailures: true };
    const source = new EventSource(queue, target, settings, server.queueByArn, (error) => {
      throw error;
    });
    source.start();
    while (source.unfinished > 0) await new Promise(setImmediate);
    await source.stop();
    return Array.from({ length: USERS }, (_, user) => last.get(`user ${user}`)!);
  } finally {
    client.destroy();
    await server.close();
  }
}

test('one user in a hundred who sends a seventh of the events delays no other user by more than a quarter', async () => {
  const [alone, behind] = [await lastInvocations(0), await lastInvocations(HEAVY)];
  const worst = Math.max(...behind) / Math.max(...alone);
  expect(worst).toBeLessThan(1.25);
  // Without order by user, the last of the others would come after all of them.
  expect(Math.max(...behind)).toBeLessThan(Math.max(...alone) + HEAVY / 2);
});
