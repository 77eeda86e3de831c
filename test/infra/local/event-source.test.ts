import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { EventSource, type EventSourceSettings } from '../../../infra/local/event-source.ts';
import type { LocalFunction } from '../../../infra/local/lambda/function.ts';
import { type LocalSqs, type Queue, startSqs } from '../../../infra/local/sqs.ts';

interface Record {
  messageId: string;
  body: string;
  attributes: { [name: string]: string };
}
type Answer = { failed?: boolean; value?: unknown };

let sqs: LocalSqs;
let queue: Queue;
let deadLetters: Queue;
let sources: EventSource[];

beforeEach(async () => {
  sqs = await startSqs({});
  deadLetters = sqs.ensureQueue('dead.fifo', { FifoQueue: 'true' });
  queue = sqs.ensureQueue('feedback.fifo', {
    FifoQueue: 'true',
    VisibilityTimeout: '60',
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: deadLetters.arn, maxReceiveCount: 2 }),
  });
  sources = [];
});
afterEach(async () => {
  await Promise.all(sources.map((source) => source.stop()));
  await sqs.close();
});

let sent = 0;
async function send(group: string, body: string, attributes?: object): Promise<void> {
  const response = await fetch(sqs.endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'AmazonSQS.SendMessage' },
    body: JSON.stringify({
      QueueUrl: queue.url,
      MessageBody: body,
      MessageGroupId: group,
      MessageDeduplicationId: String(++sent),
      MessageAttributes: attributes,
    }),
  });
  expect(response.status).toBe(200);
}

/**
 * Starts an event source for a function with this answer, and collects the batches that the
 * function receives.
 */
function consume(
  answer: (records: Record[]) => Answer | Promise<Answer>,
  settings: Partial<EventSourceSettings> = {},
) {
  const batches: Record[][] = [];
  const target = {
    async invoke(payload: string) {
      const { Records } = JSON.parse(payload) as { Records: Record[] };
      batches.push(Records);
      const { failed = false, value = null } = await answer(Records);
      return { requestId: 'r', failed, payload: JSON.stringify(value) };
    },
  } as unknown as LocalFunction;
  const defaults = { batchSize: 10, concurrency: 2, partialFailures: true };
  const faults: unknown[] = [];
  const reportFault = (error: unknown) => faults.push(error);
  const source = new EventSource(queue, target, { ...defaults, ...settings }, sqs.queueByArn, reportFault);
  sources.push(source);
  source.start();
  return { source, batches, faults, bodies: () => batches.flat().map(({ body }) => body) };
}

const remaining = () => {
  const { ready, inflight } = queue.inspectMessages();
  return { ready: ready.map(({ body }) => body), inflight: inflight.map(({ message }) => message.body) };
};
const failures = (...ids: unknown[]) => ({
  value: { batchItemFailures: ids.map((id) => ({ itemIdentifier: id })) },
});

describe('an event source', () => {
  it('passes a message in the record format of Lambda', async () => {
    await send('user-1', 'hello', { kind: { DataType: 'String', StringValue: 'feedback' } });
    const { batches, source } = consume(() => ({}));
    await expect.poll(() => source.unfinished).toBe(0);
    expect(batches).toEqual([
      [
        {
          messageId: expect.stringMatching(/^[0-9a-f-]{36}$/),
          receiptHandle: expect.any(String),
          body: 'hello',
          attributes: {
            ApproximateReceiveCount: '1',
            SentTimestamp: expect.stringMatching(/^\d{13}$/),
            SequenceNumber: '00000000000000000001',
            MessageGroupId: 'user-1',
            SenderId: 'local',
            MessageDeduplicationId: String(sent),
            ApproximateFirstReceiveTimestamp: expect.stringMatching(/^\d{13}$/),
          },
          messageAttributes: {
            kind: { stringValue: 'feedback', stringListValues: [], binaryListValues: [], dataType: 'String' },
          },
          md5OfBody: '5d41402abc4b2a76b9719d911017c592',
          md5OfMessageAttributes: expect.any(String),
          eventSource: 'aws:sqs',
          eventSourceARN: 'arn:aws:sqs:us-east-1:000000000000:feedback.fifo',
          awsRegion: 'us-east-1',
        },
      ],
    ]);
  });

  it('keeps the order of each group, in batches up to the batch size', async () => {
    for (const body of ['1', '2', '3']) for (const group of ['a', 'b', 'c']) await send(group, group + body);
    const { batches, bodies, source } = consume(() => ({}), { batchSize: 2 });
    await expect.poll(() => source.unfinished).toBe(0);
    expect(Math.max(...batches.map((batch) => batch.length))).toBe(2);
    for (const group of ['a', 'b', 'c']) {
      const ofGroup = bodies().filter((body) => body.startsWith(group));
      expect(ofGroup).toEqual([`${group}1`, `${group}2`, `${group}3`]);
    }
  });

  it('runs as many concurrent batches as its concurrency, and never two with the same group', async () => {
    for (const group of ['a', 'b', 'c', 'd']) for (const body of ['1', '2']) await send(group, group + body);
    let running = 0;
    let most = 0;
    const groups = new Set<string>();
    const { source } = consume(
      async (records) => {
        most = Math.max(most, ++running);
        for (const { attributes } of records) {
          expect(groups.has(attributes.MessageGroupId ?? '')).toBe(false);
          groups.add(attributes.MessageGroupId ?? '');
        }
        await new Promise((resolve) => setTimeout(resolve, 5));
        for (const { attributes } of records) groups.delete(attributes.MessageGroupId ?? '');
        running--;
        return {};
      },
      { batchSize: 1, concurrency: 3 },
    );
    await expect.poll(() => source.unfinished).toBe(0);
    expect(most).toBe(3);
  });

  it('deletes successful messages and leaves reported failures in flight', async () => {
    for (const group of ['a', 'b', 'c']) await send(group, group);
    const { batches, source } = consume((records) =>
      failures(records.find(({ body }) => body === 'b')?.messageId),
    );
    await expect.poll(remaining).toEqual({ ready: [], inflight: ['b'] });
    expect(batches).toHaveLength(1);
    expect(source.unfinished).toBe(1);
  });

  it.each(['dequeue', 'deleteMessage'] as const)(
    'reports a failed %s of the queue and continues',
    async (operation) => {
      const full = new Error('database or disk is full');
      vi.spyOn(queue, operation).mockImplementationOnce(() => {
        throw full;
      });
      await send('a', '1');
      await send('b', '2');
      const { faults, bodies } = consume(() => ({}), { batchSize: 1, concurrency: 1 });
      await expect.poll(() => bodies().toSorted()).toEqual(['1', '2']);
      await expect.poll(remaining).toEqual({ ready: [], inflight: operation === 'dequeue' ? [] : ['1'] });
      expect(faults).toEqual([full]);
    },
  );

  it('retries a failed message after its visibility timeout until it moves to the dead-letter queue', async () => {
    queue.setAttributes({ VisibilityTimeout: '1' });
    await send('a', 'poison');
    await send('a', 'good');
    const startedAt = performance.now();
    const { bodies, source } = consume((records) =>
      failures(...records.filter((r) => r.body === 'poison').map((r) => r.messageId)),
    );
    await expect.poll(() => source.unfinished).toBe(0);
    expect(bodies()).toEqual(['poison', 'poison', 'good']);
    expect(performance.now() - startedAt).toBeGreaterThan(2000);
    expect(deadLetters.inspectMessages().ready.map(({ body }) => body)).toEqual(['poison']);
  });

  it.each<[string, (records: Record[]) => Answer]>([
    ['the function failed', () => ({ failed: true })],
    ['it reports an id that is not in the batch', () => failures('nobody')],
    ['it reports an empty id', () => failures('')],
    ['an entry is null', () => ({ value: { batchItemFailures: [null] } })],
    ['the failures are not a list', () => ({ value: { batchItemFailures: 'all' } })],
    ['the answer is not an object', () => ({ value: 'fine' })],
  ])('treats the whole batch as failed when %s', async (_, answer) => {
    await send('a', 'a');
    await send('b', 'b');
    const { batches, source } = consume(answer);
    await expect.poll(() => batches.length).toBe(1);
    await source.stop();
    expect(remaining()).toEqual({ ready: [], inflight: ['a', 'b'] });
  });

  it.each<[string, Answer]>([
    ['nothing', {}],
    ['an object without failures', { value: {} }],
    ['null for failures', { value: { batchItemFailures: null } }],
    ['an empty list', failures()],
  ])('treats the whole batch as successful when the answer is %s', async (_, answer) => {
    await send('a', 'a');
    const { source } = consume(() => answer);
    await expect.poll(() => source.unfinished).toBe(0);
  });

  it('ignores reported failures without ReportBatchItemFailures', async () => {
    await send('a', 'a');
    const { source } = consume((records) => failures(records[0]?.messageId), { partialFailures: false });
    await expect.poll(() => source.unfinished).toBe(0);
  });

  it('finishes running batches when it is stopped, and receives no further messages', async () => {
    await send('a', '1');
    let finish = () => {};
    const { source, bodies } = consume(() => new Promise((resolve) => (finish = () => resolve({}))));
    await expect.poll(bodies).toEqual(['1']);
    const stopping = source.stop();
    await send('a', '2');
    finish();
    await stopping;
    expect(bodies()).toEqual(['1']);
    expect(remaining()).toEqual({ ready: ['2'], inflight: [] });
  });
});
