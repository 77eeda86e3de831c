import { setTimeout as delay } from 'node:timers/promises';
import { PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { ConsolidationReport } from '../../functions/consolidate-patterns/consolidate.ts';
import { buryUser, removeUser } from '../../shared/adapters/forgetting.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { cellOf } from '../../shared/episodes/episode.ts';
import { toItem } from '../../shared/episodes/episode-item.ts';
import { UnavailableError } from '../../shared/errors.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { CHAOS_SETTINGS, CLOCK_SKEW_MS } from './assembly.ts';
import { churnCatalogue } from './catalogue-churn.ts';
import { type ChaosStack, provideLearning, startChaosStack } from './chaos-stack.ts';
import { FaultSchedule } from './faults.ts';
import { type FifoBatch, FifoQueue } from './fifo-queue.ts';
import { judge, type Verdict } from './verdict.ts';
import { createWorkload, newMessageId, poisonOfEveryKind, type WorkloadMessage } from './workload.ts';

export interface ChaosOptions {
  /** From `synthesizeChaos`. */
  readonly assemblyDir: string;
  readonly seed: number;
  readonly events: number;
  /** Gives up after so many seconds; default 300 and a quarter of a second per event. */
  readonly patience?: number;
}

export interface ChaosReport extends Verdict {
  readonly seed: number;
  readonly events: number;
  readonly messages: number;
  readonly seconds: number;
  /** Results of the changes to the catalogue meanwhile. */
  readonly catalogue?: { readonly updates: number; readonly versionsRead: number };
  readonly faults: Readonly<Record<string, number>>;
  /** The awaits of the update path before and after which an instance was killed. */
  readonly killedAt: Readonly<Record<string, number>>;
}

/** Share of failing requests; smaller for a long run, because every kill costs a cold start. */
const faultRate = (events: number) => Math.min(0.06, Math.max(0.01, 300 / events));
const BANK_DOWN_MS = 1_500;
const EXPIRED_ITEMS = 5;
/** In this many deliveries, three fail, one in each of these ways. */
const DELIVERIES_PER_FAULT = 20;
const FAULTY_DELIVERIES = [
  'delivered-twice-at-once',
  'delivered-again-later',
  'acknowledgement-lost',
] as const;

/**
 * Runs a workload through the stack with all kinds of faults, and compares the result with the
 * oracle's.
 */
export async function runChaos({
  assemblyDir,
  seed,
  events,
  patience = 300 + events / 4,
}: ChaosOptions): Promise<ChaosReport> {
  const startedAt = performance.now();
  const faults = new FaultSchedule(seed, faultRate(events));
  let bankDownUntil = 0;
  const running = await startChaosStack({
    assemblyDir,
    faults: {
      decide: ({ operation }) => faults.forRequest(operation),
      bankDown: () => {
        const down = performance.now() < bankDownUntil;
        if (down) faults.count('bank-down');
        return down;
      },
    },
  });
  try {
    const { workload, forgotten, messages } = workloadOf(seed, events);
    const learning = await provideLearning(running, workload.items);
    const lanes = Map.groupBy(messages, ({ userId }) => workload.userIds.indexOf(userId) % 2);
    const fifo = new FifoSource(running, faults, seed);
    fifo.send(lanes.get(1) ?? []);
    await sendToSqs(running, lanes.get(0) ?? []);

    const deadline = startedAt + patience * 1_000;
    const trouble = halfDelivered(fifo).then(async () => {
      bankDownUntil = performance.now() + BANK_DOWN_MS;
      await forgetInFlight(forgotten, running, faults);
    });
    const killer = killAtRandom(running, faults);
    const churn = churnCatalogue(running, seed, () => faults.isCalm);
    await Promise.all([
      trouble,
      fifo.deliverAll(deadline),
      Promise.race([running.stack.idle(), untilLate(deadline)]),
    ]);
    await running.stack.idle();
    faults.calmDown();
    await killer;
    const catalogue = await churn;
    faults.count('catalogue-writer-died', catalogue.crashes);

    // Forgets the user in the same way as `attune forget`, after all running updates have ended.
    for (const userId of forgotten) await removeUser(userKey(userId), running);
    await putExpiredItems(running, faults);
    await storePending(running);
    const forgottenKeys = new Set([...forgotten].map(userKey));
    const verdict = await judge(running, messages, learning, forgottenKeys);
    faults.count('redelivered', fifo.redelivered);
    faults.count('clock-skewed', running.stack.coldStarts.length);
    return {
      seed,
      events,
      messages: messages.length,
      ...verdict,
      catalogueTorn: catalogue.torn,
      catalogue,
      seconds: Math.round((performance.now() - startedAt) / 100) / 10,
      faults: Object.fromEntries([...faults.counts].sort()),
      killedAt: Object.fromEntries([...faults.kills].sort()),
    };
  } finally {
    await running.stop();
  }
}

function workloadOf(seed: number, events: number) {
  const users = Math.max(10, Math.ceil(events / 40));
  const workload = createWorkload({ seed, events, users, ...CHAOS_SETTINGS });
  const forgotten = new Set(workload.userIds.slice(0, 4));
  const messages = [
    ...workload.messages.filter(({ fate, userId }) => typeof fate !== 'object' || !forgotten.has(userId)),
    ...poisonOfEveryKind(workload.userIds.at(-1)!, { seed, events, ...CHAOS_SETTINGS }),
  ];
  return { workload, forgotten, messages };
}

async function halfDelivered(fifo: FifoSource): Promise<void> {
  const half = fifo.size / 2;
  while (fifo.size > half) await delay(20);
}

async function forgetInFlight(
  userIds: Iterable<string>,
  running: ChaosStack,
  faults: FaultSchedule,
): Promise<void> {
  for (const userId of userIds) {
    await buryUser(userKey(userId), running, Date.now());
    await removeUser(userKey(userId), running);
    faults.count('forgotten-in-flight');
  }
}

/**
 * Simulates the rest of an event source: batches with several messages of one user, delivered
 * twice, late, or without a receipt.
 */
class FifoSource {
  readonly #queue: FifoQueue;
  readonly #running: ChaosStack;
  readonly #faults: FaultSchedule;
  readonly #done: FifoBatch[] = [];
  #batches = 0;

  constructor(running: ChaosStack, faults: FaultSchedule, seed: number) {
    this.#queue = new FifoQueue(createRandom(`fifo ${seed}`), 2_000);
    this.#running = running;
    this.#faults = faults;
  }

  get size(): number {
    return this.#queue.size;
  }

  get redelivered(): number {
    return this.#queue.redelivered;
  }

  send(messages: readonly WorkloadMessage[]): void {
    for (const { groupId, body } of messages) {
      this.#queue.send({ messageId: newMessageId(), groupId, body, sentAt: Date.now() });
    }
  }

  async deliverAll(deadline: number): Promise<void> {
    const poll = async () => {
      while (this.#queue.size > 0) {
        if (performance.now() > deadline) throw new UnavailableError('the queue does not empty');
        const batch = this.#queue.receive(performance.now());
        if (batch.messages.length === 0) await delay(10);
        else await this.#deliver(batch);
      }
    };
    await Promise.all([poll(), poll()]);
  }

  async #deliver(batch: FifoBatch): Promise<void> {
    const faults = this.#faults;
    const fault = FAULTY_DELIVERIES[++this.#batches % DELIVERIES_PER_FAULT];
    const invocations = [this.#invoke(batch)];
    if (fault === 'delivered-twice-at-once') {
      faults.count(fault);
      invocations.push(this.#invoke(batch));
    }
    if (this.#done.length > 0 && fault === 'delivered-again-later') {
      faults.count(fault);
      invocations.push(this.#invoke(this.#done[faults.random.integer(this.#done.length)]!));
    }
    const [failed = new Set<string>()] = await Promise.all(invocations);
    if (fault === 'acknowledgement-lost') {
      faults.count(fault);
      return;
    }
    if (failed.size === 0) this.#done.push(batch);
    this.#queue.settle(batch, failed);
  }

  /** @returns the ids of the messages that failed */
  async #invoke({ messages }: FifoBatch): Promise<ReadonlySet<string>> {
    const Records = messages.map(({ messageId, groupId, body, sentAt }) => ({
      messageId,
      body,
      attributes: { MessageGroupId: groupId, SentTimestamp: String(sentAt) },
      eventSource: 'aws:sqs',
    }));
    const { stack, output } = this.#running;
    try {
      const answer = await stack.invoke(output('updateFunctionName'), { Records });
      const { batchItemFailures } = answer as { batchItemFailures: { itemIdentifier: string }[] };
      return new Set(batchItemFailures.map(({ itemIdentifier }) => itemIdentifier));
    } catch {
      return new Set(messages.map(({ messageId }) => messageId));
    }
  }
}

async function sendToSqs({ queue }: ChaosStack, messages: readonly WorkloadMessage[]): Promise<void> {
  for (let at = 0; at < messages.length; at += 10) {
    const entries = messages.slice(at, at + 10).map(({ groupId, body }, i) => ({
      id: String(i),
      body,
      messageGroupId: groupId,
      messageDeduplicationId: newMessageId(),
    }));
    const { failed } = await queue.sendBatch(entries);
    if (failed.length > 0) throw new UnavailableError(`${failed[0]?.code}: ${failed[0]?.message}`);
  }
}

/** Until faults are over. */
async function killAtRandom({ stack }: ChaosStack, faults: FaultSchedule): Promise<void> {
  while (!faults.isCalm) {
    await delay(500 + faults.random.integer(5_000));
    const { running } = stack;
    if (running.length === 0 || !faults.happens(0.8)) continue;
    if (stack.kill(running[faults.random.integer(running.length)]!)) faults.count('killed-at-random');
  }
}

/** Expired episodes that DynamoDB has not deleted yet; readers must ignore them. */
async function putExpiredItems({ dynamodb, settings }: ChaosStack, faults: FaultSchedule): Promise<void> {
  for (let version = 1; version <= EXPIRED_ITEMS; version++) {
    const episode = {
      userKey: userKey('expired'),
      version,
      cell: cellOf(settings),
      committedAt: 1,
      context: { events: 1, interactions: 1, samplesSeen: 0, skillsVersion: 0 },
      outcome: { rewards: 1, meanReward: 1, loss: 0, lossWithoutAdapter: 0, lossOfWarmStart: 0 },
      residuals: [],
    };
    const expired = toItem(episode, Date.now() - 2 * 86_400_000, 1);
    await dynamodb.send(new PutItemCommand({ TableName: settings.table, Item: expired }));
    faults.count('expired-item-visible');
  }
}

/**
 * Consolidates until no episode waits. Then every live episode must have been read, and no expired
 * one.
 */
async function storePending({ stack, output }: ChaosStack): Promise<number> {
  // Instances with fast clocks stored episodes in the future of this process.
  await delay(CLOCK_SKEW_MS);
  const report = (await stack.invoke(output('consolidateFunctionName'), {
    force: true,
    settleSeconds: 0,
  })) as ConsolidationReport;
  return report.newEpisodes;
}

async function untilLate(deadline: number): Promise<never> {
  await delay(Math.max(0, deadline - performance.now()), undefined, { ref: false });
  throw new UnavailableError('the stack does not come to rest');
}
