import { setImmediate as turn } from 'node:timers/promises';
import { processBatch } from '../../../functions/update-adapters/process-batch.ts';
import { buryUser } from '../../../shared/adapters/forgetting.ts';
import { eventKey } from '../../../shared/adapters/recent-events.ts';
import { PREFIX } from '../../../shared/config/names.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import type { Episode } from '../../../shared/episodes/episode.ts';
import type { QuarantinedMessage } from '../../../shared/feedback/quarantine.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { compareOrder, type OrderFaults } from '../../chaos/compare-order.ts';
import { type FifoBatch, FifoQueue } from '../../chaos/fifo-queue.ts';
import { expectedAdapters, learnedBytes } from '../../chaos/oracle.ts';
import { createWorkload, newMessageId, type Workload, type WorkloadMessage } from '../../chaos/workload.ts';
import {
  type Call,
  Container,
  createWorld,
  type Fault,
  SETTINGS,
  type World,
} from '../../support/container.ts';

export const FAULTS: readonly Fault[] = [
  'unavailable',
  'lost',
  'lost-retried',
  'conflict',
  'kill-before',
  'kill-after',
  'hang',
  'freeze',
];

/** Errors at the end; all zero when every event took effect exactly once, in order. */
export interface Wrongs extends OrderFaults {
  adaptersDiffering: number;
  /** Versions without an episode, or with two. */
  episodesWrong: number;
  /** Poison that is not in quarantine exactly once, with its code. */
  quarantineWrong: number;
  /** A forgotten user came back. */
  remembered: number;
}

export interface FaultyDelivery {
  readonly wrongs: Wrongs;
  readonly injected: ReadonlyMap<Fault, number>;
}

const VISIBILITY = 30;
const MAX_ROUNDS = 2_000;
/** From this round on nothing fails, so that the queue empties. */
const CALM_FROM = 200;
const FORGOTTEN_IN_ROUND = 4;

/**
 * Delivers a workload in memory to two containers at a time, whose calls fail at random, until the
 * queue is empty. One user is forgotten meanwhile.
 */
export async function deliverWithFaults(seed: number): Promise<FaultyDelivery> {
  const workload = createWorkload({ seed, events: 60, users: 4, ...SETTINGS });
  const forgotten = userKey(workload.userIds[0]!);
  const world = createWorld(workload.items);
  const messages = workload.messages.filter(
    ({ groupId, fate, userId }) =>
      typeof fate !== 'object' || userKey(userId) !== forgotten || groupId === '',
  );
  const queue = new FifoQueue(createRandom(`queue ${seed}`), VISIBILITY);
  for (const { groupId, body } of messages) {
    queue.send({ messageId: newMessageId(), groupId, body, sentAt: 0 });
  }
  const injected = await deliverAll(world, queue, { seed, forgotten });
  return { wrongs: await compare(world, { ...workload, messages }, forgotten), injected };
}

async function deliverAll(
  world: World,
  queue: FifoQueue,
  { seed, forgotten }: { seed: number; forgotten: string },
): Promise<Map<Fault, number>> {
  const random = createRandom(`faults ${seed}`);
  const injected = new Map<Fault, number>();
  let calm = false;
  let now = 0;
  const decide = (call: Call): Fault => {
    if (calm || random.next() > 0.15) return 'none';
    const fault = FAULTS[random.integer(FAULTS.length)]!;
    // A 412 without another writer can only occur where there are other writers.
    if (fault === 'conflict' && call !== 'put adapters/') return 'none';
    if (fault === 'lost-retried' && !call.startsWith('put')) return 'none';
    injected.set(fault, (injected.get(fault) ?? 0) + 1);
    return fault;
  };
  const containers: Container[] = [];

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
    // The answer may be lost, and the confirmation that the batch is done with it.
    const arrives = report !== undefined && (calm || random.next() > 0.05);
    if (arrives) queue.settle(batch, new Set(report.failed));
    if (random.next() < 0.5) for (const thaw of container.frozen.splice(0)) thaw();
  };

  for (let round = 0; queue.size > 0; round++) {
    if (round > MAX_ROUNDS) throw new Error('the queue does not empty');
    calm = round > CALM_FROM;
    const first = queue.receive(now);
    // Sometimes the visibility timeout ends while the batch still runs, and another container gets
    // the same messages.
    if (random.next() < 0.2) now += VISIBILITY + 10;
    const second = queue.receive(now);
    const burial = round === FORGOTTEN_IN_ROUND ? buryUser(forgotten, world, 1_000 + now) : undefined;
    await Promise.all([deliver(0, first), deliver(1, second), burial]);
    now += 10;
  }
  calm = true;
  for (const container of containers) for (const thaw of container.frozen.splice(0)) thaw();
  for (let i = 0; i < 20; i++) await turn();
  return injected;
}

export const NOTHING_WRONG: Readonly<Wrongs> = {
  lost: 0,
  repeated: 0,
  reordered: 0,
  misplaced: 0,
  adaptersDiffering: 0,
  episodesWrong: 0,
  quarantineWrong: 0,
  remembered: 0,
};

async function compare(world: World, { messages }: Workload, forgotten: string): Promise<Wrongs> {
  const wrongs: Wrongs = { ...NOTHING_WRONG };
  const pending = world.objects.documents<Episode>(PREFIX.pending);
  for (const [key, { eventIds, digest }] of expectedAdapters(messages, world.learning, SETTINGS)) {
    const { adapter } = await world.adapters.find(key);
    if (key === forgotten) {
      if (adapter !== undefined) wrongs.remembered += 1;
      continue;
    }
    compareOrder(eventIds.map(eventKey), [...(adapter?.recentEvents ?? [])], wrongs);
    if (adapter === undefined || learnedBytes(adapter, world.learning) !== digest)
      wrongs.adaptersDiffering += 1;
    const stored = (await Array.fromAsync(world.episodes.ofUser(key))).map(({ episode }) => episode.version);
    const waiting = pending.filter(({ userKey }) => userKey === key).map(({ version }) => version);
    const versions = [...new Set([...stored, ...waiting])].sort((a, b) => a - b);
    const complete =
      versions.length === adapter?.version && versions.every((version, i) => version === i + 1);
    if (!complete || new Set(stored).size < stored.length) wrongs.episodesWrong += 1;
  }
  compareQuarantine(world, messages, wrongs);
  return wrongs;
}

function compareQuarantine(world: World, messages: readonly WorkloadMessage[], wrongs: Wrongs): void {
  const missing = new Map<string, string>();
  for (const { body, fate } of messages) if (typeof fate === 'object') missing.set(body, fate.code);
  for (const { body, code } of world.objects.documents<QuarantinedMessage>(PREFIX.quarantine)) {
    if (missing.get(body) !== code) wrongs.quarantineWrong += 1;
    missing.delete(body);
  }
  wrongs.quarantineWrong += missing.size;
}
