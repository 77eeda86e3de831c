import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { remainsOf } from '../../shared/adapters/forgetting.ts';
import { eventKey } from '../../shared/adapters/recent-events.ts';
import { PREFIX } from '../../shared/config/names.ts';
import type { QuarantinedMessage } from '../../shared/feedback/quarantine.ts';
import type { SharedLearning } from '../../shared/population/shared-learning.ts';
import type { ChaosStack } from './chaos-stack.ts';
import { compareOrder, type OrderFaults } from './compare-order.ts';
import { expectedAdapters, learnedBytes } from './oracle.ts';
import type { WorkloadMessage } from './workload.ts';

/** Errors at the end; all zero when every event took effect exactly once, in order. */
export interface Verdict extends OrderFaults {
  /** Adapters whose learned state differs from the oracle's in any byte. */
  adaptersDiffering: number;
  /** Messages in queues, and episodes that still wait. */
  left: number;
  /** Versions without exactly one episode, and events that are not in exactly one episode. */
  episodesWrong: number;
  /** Forgotten users with stored data. */
  remembered: number;
  /** Versions of the catalogue that showed an update in part or lost one. */
  catalogueTorn: number;
}

export async function judge(
  running: ChaosStack,
  messages: readonly WorkloadMessage[],
  learning: SharedLearning,
  forgotten: ReadonlySet<string> = new Set(),
): Promise<Verdict> {
  const { adapters, episodes, objects, settings } = running;
  const verdict: Verdict = {
    lost: 0,
    repeated: 0,
    reordered: 0,
    misplaced: 0,
    adaptersDiffering: 0,
    left: await messagesLeft(running),
    episodesWrong: 0,
    remembered: 0,
    catalogueTorn: 0,
  };
  const expected = expectedAdapters(messages, learning, settings);
  for await (const { key } of objects.list(PREFIX.adapters)) {
    const userKey = key.slice(PREFIX.adapters.length);
    if (!expected.has(userKey) && !forgotten.has(userKey)) verdict.misplaced += 1;
  }
  for (const userKey of forgotten) {
    if ((await remainsOf(userKey, running)).length > 0) verdict.remembered += 1;
  }
  for (const [userKey, { eventIds, digest }] of expected) {
    if (forgotten.has(userKey)) continue;
    const adapter = (await adapters.load(userKey))?.adapter;
    compareOrder(eventIds.map(eventKey), [...(adapter?.recentEvents ?? [])], verdict);
    if (adapter === undefined || learnedBytes(adapter, learning) !== digest) verdict.adaptersDiffering += 1;
    const stored = (await Array.fromAsync(episodes.ofUser(userKey))).flatMap(({ episode }) => episode ?? []);
    const versions = stored.map(({ version }) => version);
    const complete =
      versions.length === adapter?.version && versions.every((version, i) => version === i + 1);
    const events = stored.reduce((sum, { context }) => sum + context.events, 0);
    if (!complete || events !== eventIds.length) verdict.episodesWrong += 1;
  }
  await compareQuarantine(running, messages, verdict);
  return verdict;
}

async function compareQuarantine(
  { objects }: ChaosStack,
  messages: readonly WorkloadMessage[],
  verdict: Verdict,
): Promise<void> {
  const waiting = new Map<string, string>();
  for (const { body, fate } of messages) if (typeof fate === 'object') waiting.set(body, fate.code);
  for await (const { key } of objects.list(PREFIX.quarantine)) {
    const found = await objects.get(key);
    if (found === undefined || found === 'not-modified') continue;
    const { body, code } = JSON.parse(Buffer.from(found.body).toString('utf8')) as QuarantinedMessage;
    if (waiting.get(body) !== code) verdict.misplaced += 1;
    waiting.delete(body);
  }
  verdict.misplaced += waiting.size;
}

async function messagesLeft({ sqs, output, objects }: ChaosStack): Promise<number> {
  let left = (await Array.fromAsync(objects.list(PREFIX.pending))).length;
  for (const queue of ['feedbackQueueUrl', 'deadLetterQueueUrl'] as const) {
    const { Attributes = {} } = await sqs.send(
      new GetQueueAttributesCommand({ QueueUrl: output(queue), AttributeNames: ['All'] }),
    );
    left +=
      Number(Attributes.ApproximateNumberOfMessages) +
      Number(Attributes.ApproximateNumberOfMessagesNotVisible);
  }
  return left;
}
