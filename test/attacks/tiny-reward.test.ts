import { SendMessageCommand } from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ConsolidationReport } from '../../functions/consolidate-patterns/consolidate.ts';
import { PREFIX } from '../../shared/config/names.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { encodeFeedbackEvent } from '../../shared/feedback/event.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { SETTINGS, startWholeStack } from '../stack/running-stack.ts';
import { tellHarm } from '../support/harm.ts';

let running: Awaited<ReturnType<typeof startWholeStack>>;
beforeAll(async () => {
  running = await startWholeStack();
});
afterAll(() => running?.stop());

const random = createRandom('tiny');
const embedding = () => Float32Array.from({ length: SETTINGS.embeddingDim }, () => random.normal());
const eventOf = (userId: string, reward: number) => ({
  userId,
  body: encodeFeedbackEvent({
    eventId: `${userId}-1`,
    userId,
    occurredAt: '2026-01-01T00:00:00Z',
    interactions: [{ itemId: 'item', embedding: embedding(), reward }],
  }),
});

test("six events with a reward outside DynamoDB's range delay no episode of other users, and consolidation continues", {
  timeout: 120_000,
}, async (context) => {
  const events = [
    ...Array.from({ length: 6 }, (_, i) => eventOf(`tiny ${i}`, 1e-200)),
    ...Array.from({ length: 20 }, (_, i) => eventOf(`honest ${i}`, 0.8)),
  ];
  for (const { userId, body } of events)
    await running.sqs.send(
      new SendMessageCommand({
        QueueUrl: running.output('feedbackQueueUrl'),
        MessageBody: body,
        MessageGroupId: userKey(userId),
        MessageDeduplicationId: userId,
      }),
    );
  await running.stack.idle();
  const pending = await Array.fromAsync(running.objects.list(PREFIX.pending));
  const report = (await running.stack.invoke(running.output('consolidateFunctionName'), {
    force: true,
    settleSeconds: 0,
  })) as ConsolidationReport;
  tellHarm(context, {
    before: 'consolidation stopped for good; 13 of the next 20 honest episodes went to pending',
    now: `consolidation: ${report.status}; ${pending.length} of ${events.length} episodes went to pending`,
  });
  expect(pending).toEqual([]);
  expect(report).toMatchObject({ status: 'consolidated', newEpisodes: 26 });
  for (const { userId } of events)
    expect(await Array.fromAsync(running.episodes.ofUser(userKey(userId)))).toHaveLength(1);
});
