import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Clock } from '../../../shared/client/deadline.ts';
import {
  type BufferOptions,
  FeedbackBuffer,
  type UnsentFeedback,
  UnsentFeedbackError,
} from '../../../shared/client/feedback-buffer.ts';
import { InvalidConfigurationError, InvalidInputError, UnavailableError } from '../../../shared/errors.ts';
import type { FeedbackQueue, QueueEntry } from '../../../shared/feedback/queue.ts';

const embedding = new Float32Array(16).fill(0.25);
const click = (userId: string, itemId: string) => ({ userId, itemId, embedding, reward: 1 });

type Fault = 'none' | 'lost' | 'refuse' | 'throw';

/**
 * A FIFO queue that accepts a deduplication id only once. `lost` accepts everything and loses the
 * answer.
 */
class FaultyQueue implements FeedbackQueue {
  readonly accepted: QueueEntry[] = [];
  readonly #faults: Fault[];

  constructor(faults: readonly Fault[] = []) {
    this.#faults = [...faults];
  }

  async sendBatch(entries: readonly QueueEntry[]) {
    const fault = this.#faults.shift() ?? 'none';
    if (fault === 'throw') throw new UnavailableError('throttled');
    const [first] = entries;
    const taken = fault === 'refuse' ? entries.slice(1) : entries;
    const ids = new Set(this.accepted.map((entry) => entry.messageDeduplicationId));
    this.accepted.push(...taken.filter((entry) => !ids.has(entry.messageDeduplicationId)));
    if (fault === 'lost') throw new UnavailableError('connection reset');
    const failed = fault === 'refuse' ? [{ id: first!.id, code: 'C', message: 'm', senderFault: false }] : [];
    return { failed };
  }

  /** Item ids by user, in the order of the queue. */
  get items(): Map<string, string[]> {
    const items = new Map<string, string[]>();
    for (const { body } of this.accepted) {
      const { userId, interactions } = JSON.parse(body);
      const ids = interactions.map(({ itemId }: { itemId: string }) => itemId);
      items.set(userId, [...(items.get(userId) ?? []), ...ids]);
    }
    return items;
  }
}

/** A clock whose timers fire when a test tells it to. */
class ManualClock implements Clock {
  readonly timers = new Set<() => void>();
  readonly now = () => Date.UTC(2026, 0, 31);

  after(_: number, callback: () => void): () => void {
    this.timers.add(callback);
    return () => this.timers.delete(callback);
  }

  fire(): void {
    const due = [...this.timers];
    this.timers.clear();
    for (const callback of due) callback();
  }
}

/** Bytes in use after a garbage collection. */
function heapUsed(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().heapUsed;
}

function bufferOn(queue: FeedbackQueue, options: BufferOptions = {}, maxAttempts = 5) {
  const clock = new ManualClock();
  const buffer = new FeedbackBuffer(
    { queue, embeddingDim: 16, random: () => 0.5, sleep: async () => {}, maxAttempts },
    clock,
    options,
  );
  return { buffer, clock };
}

describe('the feedback buffer', () => {
  test('sends the interactions of a user in one message when the wait is over', async () => {
    const queue = new FaultyQueue();
    const { buffer, clock } = bufferOn(queue);
    const published = [buffer.publish(click('ada', 'a')), buffer.publish(click('ada', 'b'))];
    expect(queue.accepted).toEqual([]);
    clock.fire();
    await Promise.all(published);
    expect(queue.accepted).toHaveLength(1);
    expect(JSON.parse(queue.accepted[0]!.body)).toMatchObject({
      occurredAt: '2026-01-31T00:00:00.000Z',
      interactions: [{ itemId: 'a' }, { itemId: 'b' }],
    });
  });

  test('sends without waiting when it holds `flushAt` interactions', async () => {
    const queue = new FaultyQueue();
    const { buffer } = bufferOn(queue, { flushAt: 2 });
    await Promise.all([buffer.publish(click('ada', 'a')), buffer.publish(click('bob', 'b'))]);
    expect(queue.accepted).toHaveLength(2);
  });

  test('sends an interaction as it was when published, even if the object changes later', async () => {
    const queue = new FaultyQueue();
    const { buffer } = bufferOn(queue);
    const mine = { ...click('ada', 'a'), embedding: new Float32Array(16).fill(1) };
    const published = buffer.publish(mine);
    mine.embedding.fill(7);
    mine.itemId = 'other';
    await buffer.flush();
    await published;
    const [sent] = JSON.parse(queue.accepted[0]!.body).interactions;
    expect(sent.itemId).toBe('a');
    expect(Buffer.from(sent.embedding, 'base64').readFloatLE(0)).toBe(1);
  });

  test('loses nothing, repeats nothing and keeps the order of each user under random failures', async () => {
    const users = fc.array(fc.constantFrom('ada', 'bob', 'cy'), { minLength: 1, maxLength: 60 });
    const faults = fc.array(fc.constantFrom<Fault>('none', 'lost', 'refuse', 'throw'), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(users, faults, fc.integer({ min: 1, max: 9 }), async (owners, plan, flushAt) => {
        const queue = new FaultyQueue(plan);
        // More attempts than faults, so that everything is accepted in the end.
        const { buffer } = bufferOn(queue, { flushAt }, plan.length + 1);
        const published = owners.map((owner, i) => buffer.publish(click(owner, `i${i}`)));
        expect(await buffer.close()).toEqual([]);
        await Promise.all(published);
        for (const [owner, items] of queue.items)
          expect(items).toEqual(owners.flatMap((each, i) => (each === owner ? [`i${i}`] : [])));
        expect([...queue.items.values()].flat()).toHaveLength(owners.length);
        expect(buffer.bufferedBytes).toBe(0);
      }),
      { numRuns: 150 },
    );
  });

  test('reports exactly the interactions that the queue did not accept', async () => {
    const users = fc.array(fc.constantFrom('ada', 'bob', 'cy'), { minLength: 1, maxLength: 40 });
    const faults = fc.array(fc.constantFrom<Fault>('none', 'refuse', 'throw'), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(users, faults, async (owners, plan) => {
        const queue = new FaultyQueue(plan);
        const told: UnsentFeedback[] = [];
        const { buffer } = bufferOn(queue, { flushAt: 3, onError: (unsent) => told.push(unsent) }, 1);
        const results = owners.map((owner, i) => buffer.publish(click(owner, `i${i}`)));
        const unsent = await buffer.close();
        const settled = await Promise.allSettled(results);
        const accepted = new Set([...queue.items.values()].flat());
        for (const [i, { status }] of settled.entries())
          expect(status).toBe(accepted.has(`i${i}`) ? 'fulfilled' : 'rejected');
        const failed = told.flatMap(({ interactions }) => interactions.map(({ itemId }) => itemId));
        expect(new Set(failed).size).toBe(failed.length);
        expect(failed).toHaveLength(owners.length - accepted.size);
        expect(unsent.every((each) => told.includes(each))).toBe(true);
      }),
      { numRuns: 150 },
    );
  });

  test('refuses interactions when it is full, and is ready again when the queue has accepted some', async () => {
    const release: (() => void)[] = [];
    const queue = new FaultyQueue();
    const slow: FeedbackQueue = {
      sendBatch: async (entries) => {
        await new Promise<void>((resolve) => release.push(resolve));
        return queue.sendBatch(entries);
      },
    };
    const { buffer } = bufferOn(slow, { maxBufferedBytes: 2_000 });
    const published: Promise<unknown>[] = [];
    let refused = 0;
    for (let i = 0; i < 10_000; i++) {
      published.push(
        buffer.publish(click(`user-${i}`, 'a')).catch((error) => {
          expect(error).toBeInstanceOf(UnavailableError);
          refused++;
        }),
      );
      expect(buffer.bufferedBytes).toBeLessThanOrEqual(2_000);
    }
    const ready = buffer.ready();
    while (buffer.bufferedBytes > 0) {
      await new Promise((resolve) => setImmediate(resolve));
      release.shift()?.();
    }
    await ready;
    await Promise.all(published);
    expect(refused).toBeGreaterThan(9_900);
    expect(queue.accepted).toHaveLength(10_000 - refused);
  });

  test('keeps its memory bounded while 10,000 events a second are offered to a queue that takes 100', async () => {
    const limit = 1024 * 1024;
    let room = 0;
    let waiting: (() => void)[] = [];
    const accepted = new Set<string>();
    const slow: FeedbackQueue = {
      async sendBatch(entries) {
        while (room < entries.length) await new Promise<void>((resolve) => waiting.push(resolve));
        room -= entries.length;
        for (const { body } of entries) accepted.add(JSON.parse(body).userId);
        return { failed: [] };
      },
    };
    const { buffer, clock } = bufferOn(slow, { maxBufferedBytes: limit });
    const acknowledged = new Set<string>();
    let refused = 0;
    const heap: number[] = [];
    for (let tenth = 0; tenth < 30; tenth++) {
      for (let i = 0; i < 1_000; i++) {
        const userId = `user-${tenth}-${i}`;
        buffer.publish(click(userId, 'a')).then(
          () => acknowledged.add(userId),
          () => refused++,
        );
      }
      clock.fire();
      room = 10;
      const resumed = waiting;
      waiting = [];
      for (const resume of resumed) resume();
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(buffer.bufferedBytes).toBeLessThanOrEqual(limit);
      if (tenth === 9 || tenth === 29) heap.push(heapUsed());
    }
    expect(accepted.size).toBeGreaterThan(250);
    expect(refused).toBeGreaterThan(20_000);
    expect(heap[1]! - heap[0]!).toBeLessThan(4 * 1024 * 1024);
    room = Number.POSITIVE_INFINITY;
    for (const resume of waiting) resume();
    expect(await buffer.close()).toEqual([]);
    expect(acknowledged).toEqual(accepted);
    expect(accepted.size + refused).toBe(30_000);
  });

  test('returns the id of the event, which interactions of a user share', async () => {
    const queue = new FaultyQueue();
    const { buffer } = bufferOn(queue);
    const published = [click('ada', 'a'), click('bob', 'b'), click('ada', 'c')].map((each) =>
      buffer.publish(each),
    );
    await buffer.flush();
    const [first, second, third] = await Promise.all(published);
    expect(third).toEqual(first);
    expect(second).not.toEqual(first);
    const ids = queue.accepted.map(({ body }) => JSON.parse(body).eventId);
    expect(ids).toEqual([first!.eventId, second!.eventId]);
  });

  test('makes a separate event of an interaction with an event id, in the order of its user', async () => {
    const queue = new FaultyQueue();
    const { buffer } = bufferOn(queue);
    const mine = { ...click('ada', 'b'), eventId: 'order-7' };
    const published = [click('ada', 'a'), mine, click('ada', 'c'), mine].map((each) => buffer.publish(each));
    await buffer.flush();
    expect((await Promise.all(published)).filter(({ eventId }) => eventId === 'order-7')).toHaveLength(2);
    expect(queue.items.get('ada')).toEqual(['a', 'b', 'c']);
    await expect(buffer.publish({ ...mine, eventId: '' })).rejects.toMatchObject({ field: 'eventId' });
  });

  test('returns unaccepted interactions when a hanging queue exceeds the patience', async () => {
    const { buffer } = bufferOn({ sendBatch: () => new Promise(() => {}) }, { onError: () => {} });
    for (let i = 0; i < 1_000; i++) void buffer.publish(click('ada', `i${i}`));
    const controller = new AbortController();
    const closing = buffer.close(controller.signal);
    controller.abort();
    const unsent = await closing;
    const items = unsent.flatMap(({ interactions }) => interactions.map(({ itemId }) => itemId));
    expect(items).toEqual(Array.from({ length: 1_000 }, (_, i) => `i${i}`));
    expect(new Set(unsent.map(({ code }) => code))).toEqual(new Set(['aborted']));
  });

  test('reports field, value and expectation of an invalid interaction', async () => {
    const { buffer } = bufferOn(new FaultyQueue());
    const wrong = buffer.publish({ userId: 'ada', embedding: [1, 2, 3], reward: 1 });
    await expect(wrong).rejects.toMatchObject({
      code: 'invalid-input',
      field: 'embedding',
      found: '3 numbers',
      expected: '16 numbers',
    });
    await expect(buffer.publish(click('', 'a'))).rejects.toBeInstanceOf(InvalidInputError);
  });

  test('rejects the promise of `publish` with the unsent interaction', async () => {
    const { buffer } = bufferOn(new FaultyQueue(['throw']), {}, 1);
    const published = buffer.publish(click('ada', 'a'));
    const caught = published.catch((error: unknown) => error);
    await buffer.flush();
    expect(await caught).toBeInstanceOf(UnsentFeedbackError);
    expect(await caught).toMatchObject({
      retryable: true,
      unsent: { code: 'unavailable', interactions: [{ userId: 'ada', itemId: 'a' }] },
    });
  });

  test('accepts nothing after it is closed', async () => {
    const { buffer } = bufferOn(new FaultyQueue());
    await buffer.close();
    await expect(buffer.publish(click('ada', 'a'))).rejects.toBeInstanceOf(InvalidConfigurationError);
  });
});
