import { randomUUID } from 'node:crypto';
import { adapterKey } from '../../shared/adapters/adapter-store.ts';
import { removeUser } from '../../shared/adapters/forgetting.ts';
import { invokeFunction } from '../../shared/client/invocation.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { userKey } from '../../shared/config/user-key.ts';
import type { PersonalizeAnswer } from '../../shared/contract/answers.ts';
import { encodeFeedbackEvent } from '../../shared/feedback/event.ts';
import { type DoctorServices, type Finding, failed, ok, type Pace } from './check.ts';

const LONGEST_MS = 60_000;
const STEP_MS = 250;

/**
 * Publishes an event of a temporary user, waits for its effect, requests scores, and removes
 * everything again.
 */
export async function makeRoundTrip(services: DoctorServices): Promise<Finding> {
  const { deployment, lambda, settings, output, pace } = services;
  const userId = `attune-doctor-${randomUUID()}`;
  const user = userKey(userId);
  const { objects, adapters } = await deployment.bucket();
  const episodes = await deployment.episodes();
  const embedding = Float32Array.from({ length: settings.embeddingDim }, (_, i) => Math.sin(i + 1));
  const body = encodeFeedbackEvent({
    eventId: userId,
    userId,
    occurredAt: new Date().toISOString(),
    // Without an item id, so that the event teaches no item effect.
    interactions: [{ embedding, reward: 0.5 }],
  });
  const queue = await deployment.queue();
  const startedAt = pace.now();
  const { failed: refused } = await queue.sendBatch([
    { id: '1', body, messageGroupId: user, messageDeduplicationId: userId },
  ]);
  if (refused[0] !== undefined)
    return failed(`the queue refused the event: ${refused[0].message}`, 'look at the queue');
  try {
    const hasEffect = await until(pace, async () => (await adapters.find(user)).adapter !== undefined);
    if (!hasEffect)
      return failed(
        `an event had no effect within ${LONGEST_MS / 1000} seconds`,
        'look at the logs of update-adapters and at attune dlq list',
      );
    const tookMs = Math.round(pace.now() - startedAt);
    const answer = await invokeFunction<PersonalizeAnswer>(
      lambda,
      await output(OUTPUT.personalizeFunctionName),
      {
        userId,
        candidates: [{ embedding: Array.from(embedding) }],
      },
    );
    if (answer.adapterVersion !== 1)
      return failed(
        `personalize answered with adapter version ${answer.adapterVersion}, expected 1`,
        'look at the logs of personalize',
      );
    return ok(`an event took effect after ${tookMs} ms, and personalize answered with it (${answer.source})`);
  } finally {
    // The episode is written after the adapter.
    await until(pace, async () => (await Array.fromAsync(episodes.ofUser(user))).length > 0, 5_000);
    await removeUser(user, { objects, adapters, episodes });
    for (const { key, versionId } of await Array.fromAsync(objects.versionsUnder(adapterKey(user))))
      await objects.delete(key, { versionId });
  }
}

async function until(
  { now, wait }: Pace,
  isTrue: () => Promise<boolean>,
  longestMs = LONGEST_MS,
): Promise<boolean> {
  const startedAt = now();
  while (!(await isTrue())) {
    if (now() - startedAt > longestMs) return false;
    await wait(STEP_MS);
  }
  return true;
}
