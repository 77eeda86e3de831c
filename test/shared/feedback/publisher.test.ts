import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';
import { InvalidConfigurationError, UnavailableError } from '../../../shared/errors.ts';
import type { PublishedInteraction } from '../../../shared/feedback/coalescing.ts';
import { type FeedbackEventInput, parseFeedbackEvent } from '../../../shared/feedback/event.ts';
import { FeedbackPublisher, type FeedbackPublisherOptions } from '../../../shared/feedback/publisher.ts';
import {
  BATCH_LIMITS,
  type FeedbackQueue,
  type QueueEntry,
  type RefusedEntry,
} from '../../../shared/feedback/queue.ts';

const DIM = 16;
const embedding = new Float32Array(DIM).fill(0.25);

type Answer = 'accept' | 'refuse' | 'fail' | Error;

/**
 * Accepts every entry unless the script says otherwise. An Error is a lost answer: entries before
 * it were accepted. Like SQS, it accepts a deduplication id only once.
 */
class ScriptedQueue implements FeedbackQueue {
  readonly accepted: QueueEntry[] = [];
  readonly requests: (readonly QueueEntry[])[] = [];
  readonly #answer: (entry: QueueEntry, requests: number) => Answer;

  constructor(answer: (entry: QueueEntry, requests: number) => Answer = () => 'accept') {
    this.#answer = answer;
  }

  async sendBatch(entries: readonly QueueEntry[]): Promise<{ failed: RefusedEntry[] }> {
    this.requests.push(entries);
    expect(entries.length).toBeGreaterThan(0);
    expect(entries.length).toBeLessThanOrEqual(BATCH_LIMITS.entries);
    expect(new Set(entries.map((entry) => entry.id)).size).toBe(entries.length);
    const bytes = entries.reduce((sum, entry) => sum + Buffer.byteLength(entry.body), 0);
    expect(bytes).toBeLessThanOrEqual(BATCH_LIMITS.bytes);
    const failed: RefusedEntry[] = [];
    for (const entry of entries) {
      const answer = this.#answer(entry, this.requests.length);
      if (answer instanceof Error) throw answer;
      const known = this.accepted.some(
        (each) => each.messageDeduplicationId === entry.messageDeduplicationId,
      );
      if (answer !== 'accept') {
        failed.push({ id: entry.id, code: 'Code', message: 'why', senderFault: answer === 'refuse' });
      } else if (!known) this.accepted.push(entry);
    }
    return { failed };
  }

  /** The item ids that arrived, by user, in order. */
  itemsByUser(): Record<string, string[]> {
    const items: Record<string, string[]> = {};
    for (const { body } of this.accepted) {
      const event = parseFeedbackEvent(body, { embeddingDim: DIM, embeddingModel: 'default' });
      items[event.userId] ??= [];
      items[event.userId]?.push(...event.interactions.map((interaction) => interaction.itemId ?? ''));
    }
    return items;
  }
}

function publisher(queue: FeedbackQueue, options: Partial<FeedbackPublisherOptions> = {}) {
  let events = 0;
  const slept: number[] = [];
  const instance = new FeedbackPublisher({
    queue,
    embeddingDim: DIM,
    newEventId: () => `event-${++events}`,
    now: () => new Date('2026-01-01T00:00:00Z'),
    sleep: async (milliseconds) => {
      slept.push(milliseconds);
    },
    random: () => 0.5,
    ...options,
  });
  return Object.assign(instance, { slept });
}

const of = (userId: string, itemId: string): PublishedInteraction => ({
  userId,
  itemId,
  embedding,
  reward: 1,
});
const many = (userId: string, count: number) =>
  Array.from({ length: count }, (_, i) => of(userId, `${userId}${i}`));

describe('publishing interactions', () => {
  test('packs the interactions of a user into one message, in order, also when users alternate', async () => {
    const queue = new ScriptedQueue();
    const input = [of('a', '1'), of('b', '2'), of('a', '3'), of('b', '4'), of('a', '5')];
    const report = await publisher(queue).publish(input);
    expect(report).toEqual({ interactions: 5, events: 2, duplicates: 0, failed: [] });
    expect(queue.requests).toHaveLength(1);
    expect(queue.itemsByUser()).toEqual({ a: ['1', '3', '5'], b: ['2', '4'] });
  });

  test('names the user by hash as message group, and user and event as deduplication id', async () => {
    const queue = new ScriptedQueue();
    await publisher(queue).publish([of('a', '1')]);
    expect(queue.accepted[0]).toMatchObject({
      messageGroupId: userKey('a'),
      messageDeduplicationId: userKey('a\0event-1'),
    });
  });

  test('fills messages up to 100 interactions', async () => {
    const queue = new ScriptedQueue();
    expect(await publisher(queue).publish(many('a', 250))).toMatchObject({ interactions: 250, events: 3 });
    const events = queue.accepted.map(({ body }) => JSON.parse(body));
    expect(events.map((event) => event.interactions.length)).toEqual([100, 100, 50]);
    expect(events.map((event) => event.eventId)).toEqual(['event-1', 'event-2', 'event-3']);
  });

  test('fills messages up to 256 KiB, and requests up to 1 MiB', async () => {
    const queue = new ScriptedQueue();
    const long = new Float32Array(4096);
    const input = ['a', 'b', 'c', 'd', 'e'].flatMap((userId) =>
      Array.from({ length: 22 }, () => ({ userId, embedding: long, reward: 0 })),
    );
    await publisher(queue, { embeddingDim: 4096 }).publish(input);
    expect(queue.accepted.map(({ body }) => JSON.parse(body).interactions.length)).toEqual(
      Array(10).fill(11),
    );
    // 11 interactions are 240 KB: four messages, of different users, fit one request.
    expect(queue.requests.map((entries) => entries.length)).toEqual([4, 4, 2]);
  });

  test('sends its buffer when it is full', async () => {
    const queue = new ScriptedQueue();
    let read = 0;
    function* longStream() {
      while (read < 10_000) {
        read++;
        if (queue.accepted.length > 0) return;
        yield of(`user ${read}`, 'item');
      }
    }
    await publisher(queue, { bufferBytes: 10_000 }).publish(longStream());
    expect(read).toBeLessThan(150);
  });

  test('takes the time of the last interaction, or the current time', async () => {
    const queue = new ScriptedQueue();
    const at = (occurredAt: string) => ({ ...of('a', '1'), occurredAt });
    await publisher(queue).publish([
      at('2025-01-01T00:00:00Z'),
      at('2025-01-02T00:00:00+01:00'),
      of('b', '1'),
    ]);
    expect(queue.accepted.map(({ body }) => JSON.parse(body).occurredAt)).toEqual([
      '2025-01-02T00:00:00+01:00',
      '2026-01-01T00:00:00.000Z',
    ]);
  });

  test('reports invalid interactions, and sends the others', async () => {
    const queue = new ScriptedQueue();
    const input = [
      of('a', '1'),
      { ...of('a', '2'), reward: 1.5 },
      of('', '3'),
      { ...of('a', '4'), embedding: [1, 2] },
      { ...of('a', '5'), occurredAt: 'now' },
      of('a', '6'),
    ];
    const report = await publisher(queue).publish(input);
    expect(report.failed).toEqual([
      {
        userId: 'a',
        interactions: 1,
        position: 1,
        code: 'limit',
        message: 'reward: found 1.5, expected a number in [0, 1]',
      },
      {
        userId: '',
        interactions: 1,
        position: 2,
        code: 'limit',
        message:
          'userId: found "", expected 1 to 128 characters without control characters or lone surrogates',
      },
      {
        userId: 'a',
        interactions: 1,
        position: 3,
        code: 'dimension',
        message: 'embedding: found 2 numbers, expected 16 numbers',
      },
      expect.objectContaining({
        position: 4,
        code: 'schema',
        message: expect.stringMatching(/^occurredAt: found "now"/),
      }),
    ]);
    expect(queue.itemsByUser()).toEqual({ a: ['1', '6'] });
  });

  test('reports values that are not interactions, and sends the others', async () => {
    const queue = new ScriptedQueue();
    const input = [null, 7, 'ab', undefined, [], of('a', '1')] as PublishedInteraction[];
    const report = await publisher(queue).publish(input);
    expect(report).toMatchObject({ interactions: 1, events: 1 });
    expect(
      report.failed.map(({ position, code, interactions }) => ({ position, code, interactions })),
    ).toEqual([0, 1, 2, 3, 4].map((position) => ({ position, code: 'schema', interactions: 1 })));
    expect(report.failed[0]).toMatchObject({
      userId: 'nothing',
      message:
        'input: found null, expected an object with userId, embedding and one of reward, watch, target',
    });
  });

  test('reports the progress after every request', async () => {
    const seen: unknown[] = [];
    await publisher(new ScriptedQueue()).publish([...many('a', 150), of('b', '1')], {
      onProgress: (p) => seen.push(p),
    });
    expect(seen).toEqual([
      { interactions: 101, events: 2, failed: 0 },
      { interactions: 151, events: 3, failed: 0 },
    ]);
  });
});

describe('retrying', () => {
  test('sends only the failed entries again, after a jittered delay that doubles', async () => {
    const queue = new ScriptedQueue((entry, request) =>
      entry.messageGroupId === userKey('b') && request < 4 ? 'fail' : 'accept',
    );
    const under = publisher(queue);
    expect((await under.publish([of('a', '1'), of('b', '2'), of('c', '3')])).failed).toEqual([]);
    expect(queue.requests.map((entries) => entries.length)).toEqual([3, 1, 1, 1]);
    expect(under.slept).toEqual([50, 100, 200]);
    const again = queue.requests.slice(1).map(([entry]) => entry?.messageDeduplicationId);
    expect(new Set(again)).toEqual(new Set([userKey('b\0event-2')]));
  });

  test('ends after the last attempt, and reports the later messages of that user as not sent', async () => {
    const queue = new ScriptedQueue((entry) => (entry.messageGroupId === userKey('a') ? 'fail' : 'accept'));
    const report = await publisher(queue).publish([...many('a', 201), ...many('b', 101)]);
    const blocked = 'not sent, because event event-1 of the same user failed';
    expect(report).toMatchObject({ interactions: 101, events: 2 });
    expect(report.failed).toEqual([
      { eventId: 'event-1', userId: 'a', interactions: 100, position: 0, code: 'Code', message: 'why' },
      expect.objectContaining({ interactions: 100, position: 100, code: 'blocked', message: blocked }),
      expect.objectContaining({ interactions: 1, position: 200, code: 'blocked', message: blocked }),
    ]);
    expect(
      queue.requests.filter((entries) => entries.some((e) => e.messageGroupId === userKey('a'))),
    ).toHaveLength(5);
  });

  test('counts failures in the progress', async () => {
    const queue = new ScriptedQueue((entry) => (entry.messageGroupId === userKey('a') ? 'refuse' : 'accept'));
    const seen: unknown[] = [];
    await publisher(queue).publish([of('a', '1'), of('b', '2')], { onProgress: (p) => seen.push(p) });
    expect(seen).toEqual([{ interactions: 1, events: 1, failed: 1 }]);
  });

  test('is not attempted when the entry itself is invalid', async () => {
    const queue = new ScriptedQueue((entry) => (entry.messageGroupId === userKey('a') ? 'refuse' : 'accept'));
    const under = publisher(queue);
    expect((await under.publish([of('a', '1'), of('b', '2')])).failed).toMatchObject([
      { userId: 'a', code: 'Code' },
    ]);
    expect(queue.requests).toHaveLength(1);
    expect(under.slept).toEqual([]);
  });

  test('survives requests that fail as a whole', async () => {
    const queue = new ScriptedQueue((_, request) => (request < 5 ? new UnavailableError('down') : 'accept'));
    const report = await publisher(queue).publish(many('a', 150));
    expect(report).toEqual({ interactions: 150, events: 2, duplicates: 0, failed: [] });
    expect(queue.itemsByUser().a).toEqual(many('a', 150).map((interaction) => interaction.itemId));
  });

  test('counts failed requests anew after one that was answered', async () => {
    const queue = new ScriptedQueue((_, request) =>
      request % 5 > 0 ? new UnavailableError('down') : 'accept',
    );
    expect(await publisher(queue).publish(many('a', 250))).toEqual({
      interactions: 250,
      events: 3,
      duplicates: 0,
      failed: [],
    });
    expect(queue.requests).toHaveLength(15);
  });

  test('does not send later messages of a user after an earlier one has failed', async () => {
    const queue = new ScriptedQueue((_, request) => (request === 1 ? 'refuse' : 'accept'));
    // Ten users fill the first request, so the last interaction is read after it.
    const input = [...Array.from('abcdefghij', (userId) => of(userId, '1')), of('k', '2'), of('a', '3')];
    const report = await publisher(queue, { bufferBytes: 1 }).publish(input);
    expect(queue.itemsByUser()).toEqual({ k: ['2'] });
    expect(report.failed).toHaveLength(11);
    expect(report.failed.at(-1)).toMatchObject({ userId: 'a', position: 11, code: 'blocked' });
  });

  test('fails all messages when the queue stays unavailable, without trying each', async () => {
    const queue = new ScriptedQueue(() => new UnavailableError('down'));
    const report = await publisher(queue).publish(
      Array.from({ length: 1000 }, (_, i) => of(`user ${i}`, '1')),
    );
    expect(queue.requests).toHaveLength(5);
    expect(report.interactions).toBe(0);
    expect(report.failed).toHaveLength(1000);
    expect(report.failed.at(-1)).toMatchObject({ userId: 'user 999', code: 'unavailable', message: 'down' });
  });

  test('gives everything up at once when the request is not allowed', async () => {
    const queue = new ScriptedQueue(() => new InvalidConfigurationError('no credentials'));
    const report = await publisher(queue).publish([of('a', '1')]);
    expect(queue.requests).toHaveLength(1);
    expect(report.failed).toMatchObject([{ code: 'invalid-configuration', message: 'no credentials' }]);
  });

  test('stops on the signal, and reports what was read and not sent', async () => {
    const stop = new AbortController();
    const queue = new ScriptedQueue();
    let read = 0;
    function* longStream() {
      while (read < 10_000) yield of('a', `${read++}`);
    }
    const report = await publisher(queue, { bufferBytes: 1 }).publish(longStream(), {
      signal: stop.signal,
      onProgress: ({ events }) => events === 2 && stop.abort(),
    });
    // One message was sent for every message read, after 256 that are read ahead.
    expect(read).toBeLessThan(300);
    expect(report).toMatchObject({ interactions: 2, events: 2 });
    expect(new Set(report.failed.map(({ code }) => code))).toEqual(new Set(['aborted']));
    expect(report.failed.length).toBeGreaterThan(250);
  });
});

describe('stopping while something hangs', () => {
  const never = new Promise<never>(() => {});

  test('reports the messages of a request that does not end', async () => {
    const stop = new AbortController();
    const queue = { sendBatch: () => never };
    const published = publisher(queue).publish([of('a', '1'), of('b', '2')], { signal: stop.signal });
    setImmediate(() => stop.abort());
    const report = await published;
    expect(report).toMatchObject({ interactions: 0, events: 0 });
    expect(report.failed).toMatchObject([
      { userId: 'a', position: 0, code: 'aborted', message: 'publishing was stopped' },
      { userId: 'b', position: 1, code: 'aborted' },
    ]);
  });

  test('reports buffered interactions when the source hangs, and closes the source', async () => {
    const stop = new AbortController();
    const queue = new ScriptedQueue();
    let ended = false;
    let read = 0;
    const source: AsyncIterableIterator<PublishedInteraction> = {
      [Symbol.asyncIterator]: () => source,
      next: () => (read++ === 0 ? Promise.resolve({ value: of('a', '1') }) : never),
      return: () => {
        ended = true;
        return never;
      },
    };
    const published = publisher(queue).publish(source, { signal: stop.signal });
    setImmediate(() => stop.abort());
    expect(await published).toMatchObject({
      interactions: 0,
      failed: [{ userId: 'a', position: 0, interactions: 1, code: 'aborted' }],
    });
    expect({ ended, requests: queue.requests.length }).toEqual({ ended: true, requests: 0 });
  });

  test('ends when no complete event arrives', async () => {
    const stop = new AbortController();
    async function* source() {
      yield await never;
    }
    const published = publisher(new ScriptedQueue()).publishEvents(source(), { signal: stop.signal });
    setImmediate(() => stop.abort());
    expect(await published).toEqual({ interactions: 0, events: 0, duplicates: 0, failed: [] });
  });

  test('leaves no listener on the signal', async () => {
    const { signal } = new AbortController();
    async function* source() {
      yield* many('a', 200);
    }
    await publisher(new ScriptedQueue()).publish(source(), { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });
});

test('under random failures a prefix of the messages of each user is sent in order, and the others are reported', async () => {
  const answers = fc.infiniteStream(
    fc.constantFrom<Answer>('accept', 'accept', 'fail', 'refuse', new UnavailableError('')),
  );
  const users = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 60 });
  await fc.assert(
    fc.asyncProperty(
      users,
      answers,
      fc.integer({ min: 500, max: 5000 }),
      async (userIds, script, bufferBytes) => {
        let lostAnswers = false;
        const queue = new ScriptedQueue(() => {
          const answer = script.next().value;
          lostAnswers ||= answer instanceof Error;
          return answer;
        });
        const input = userIds.map((userId, i) => of(userId, `${i}`));
        // A small buffer splits a user's interactions into several messages.
        const report = await publisher(queue, { bufferBytes, maxAttempts: 3 }).publish(input);
        const arrived = queue.itemsByUser();
        for (const userId of new Set(userIds)) {
          const published = input.filter((each) => each.userId === userId).map((each) => each.itemId);
          const lost = report.failed.filter((failure) => failure.userId === userId);
          const count = arrived[userId]?.length ?? 0;
          expect(arrived[userId] ?? []).toEqual(published.slice(0, count));
          const reported = lost.reduce((sum, failure) => sum + failure.interactions, 0);
          expect(count + reported).toBeGreaterThanOrEqual(published.length);
          if (!lostAnswers) expect(count + reported).toBe(published.length);
        }
        if (!lostAnswers) expect(report.interactions).toBe(Object.values(arrived).flat().length);
      },
    ),
    { numRuns: 300 },
  );
});

describe('publishing ready-made events', () => {
  const event = (eventId: string, userId: string, reward = 1) => ({
    eventId,
    userId,
    occurredAt: '2026-01-01T00:00:00Z',
    interactions: [{ embedding, reward, itemId: eventId }],
  });

  test('keeps their ids and order, and reports the invalid ones', async () => {
    const queue = new ScriptedQueue();
    const input = [event('1', 'a'), event('2', 'a', 7), event('3', 'a'), event('4', 'b')];
    const report = await publisher(queue).publishEvents(input);
    expect(queue.itemsByUser()).toEqual({ a: ['1', '3'], b: ['4'] });
    expect(report).toMatchObject({ interactions: 3, events: 3 });
    expect(report.failed).toMatchObject([{ eventId: '2', userId: 'a', position: 1, code: 'limit' }]);
  });

  test('reports values that are not events, and sends the others', async () => {
    const queue = new ScriptedQueue();
    const { interactions: _, ...bare } = event('2', 'a');
    const input = [
      event('1', 'a'),
      bare,
      null,
      { ...event('3', 'a'), interactions: 'ab' },
      7,
      event('4', 'a'),
    ];
    const report = await publisher(queue).publishEvents(input as FeedbackEventInput[]);
    expect(queue.itemsByUser()).toEqual({ a: ['1', '4'] });
    const expected = 'an array of 1 to 100 interactions';
    expect(report.failed).toEqual([
      {
        eventId: '2',
        userId: 'a',
        interactions: 0,
        position: 1,
        code: 'schema',
        message: `interactions: found nothing, expected ${expected}`,
      },
      {
        userId: 'nothing',
        interactions: 0,
        position: 2,
        code: 'schema',
        message: 'input: found null, expected an object',
      },
      expect.objectContaining({ position: 3, message: `interactions: found "ab", expected ${expected}` }),
      expect.objectContaining({ position: 4, message: 'input: found 7, expected an object' }),
    ]);
  });

  test('sends one message of a user at a time', async () => {
    const queue = new ScriptedQueue();
    await publisher(queue).publishEvents(['1', '2', '3'].flatMap((id) => [event(id, 'a'), event(id, 'b')]));
    expect(queue.requests.map((entries) => new Set(entries.map((e) => e.messageGroupId)).size)).toEqual([
      2, 2, 2,
    ]);
    expect(queue.requests.map((entries) => entries.length)).toEqual([2, 2, 2]);
  });
});
