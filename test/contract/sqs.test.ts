import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  type Message,
  SendMessageBatchCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { receive, type SqsUnderTest, sqsUnderTest } from './queues.ts';

let sqs: SqsUnderTest;
let queueUrl: string;
let deadLetterQueueUrl: string;

beforeAll(async () => {
  sqs = await sqsUnderTest();
});
afterAll(() => sqs.stop());
beforeEach(async () => {
  ({ queueUrl, deadLetterQueueUrl } = await sqs.createQueues());
});

const send = (group: string, body: string, deduplicationId = `${group}-${body}`) =>
  sqs.client.send(
    new SendMessageCommand({
      QueueUrl: queueUrl,
      MessageBody: body,
      MessageGroupId: group,
      MessageDeduplicationId: deduplicationId,
    }),
  );
const remove = ({ ReceiptHandle }: Message, from = queueUrl) =>
  sqs.client.send(new DeleteMessageCommand({ QueueUrl: from, ReceiptHandle }));
const release = ({ ReceiptHandle }: Message) =>
  sqs.client.send(
    new ChangeMessageVisibilityCommand({ QueueUrl: queueUrl, ReceiptHandle, VisibilityTimeout: 0 }),
  );
/** Both ends included. */
const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i);
const groupOf = (message: Message) => message.Attributes?.MessageGroupId;
const bodies = (messages: readonly Message[]) => messages.map(({ Body }) => Body);

describe('a FIFO queue', () => {
  it('delivers the messages of a group in the order in which they were sent', async () => {
    for (const body of ['1', '2', '3', '4']) {
      await send('a', body);
      await send('b', body);
    }
    const received: Message[] = [];
    while (received.length < 8) {
      const messages = await receive(sqs.client, queueUrl);
      for (const message of messages) await remove(message);
      received.push(...messages);
    }
    for (const group of ['a', 'b']) {
      expect(bodies(received.filter((message) => groupOf(message) === group))).toEqual(['1', '2', '3', '4']);
    }
  });

  it('delivers no message of a group with another one in flight, but those of other groups', async () => {
    await send('a', '1');
    const [first] = await receive(sqs.client, queueUrl, 1);
    await send('a', '2');
    await send('b', '3');
    expect(bodies(await receive(sqs.client, queueUrl))).toEqual(['3']);
    expect(await receive(sqs.client, queueUrl)).toEqual([]);
    await remove(first!);
    expect(bodies(await receive(sqs.client, queueUrl))).toEqual(['2']);
  });

  it('delivers a message once when it is sent again with its deduplication id, and answers with its message id', async () => {
    const first = await send('a', 'once', 'event-1');
    const second = await send('a', 'once', 'event-1');
    // SQS does not promise the sequence number of the first send.
    expect(second.MessageId).toBe(first.MessageId);
    const [message] = await receive(sqs.client, queueUrl);
    await remove(message!);
    await send('a', 'once', 'event-1');
    expect(await receive(sqs.client, queueUrl)).toEqual([]);
  });

  it('delivers a message that failed again before the later ones of its group, while others were deleted', async () => {
    await send('a', '1');
    await send('b', '1');
    const batch = await receive(sqs.client, queueUrl);
    await send('a', '2');
    const failed = batch.find((message) => groupOf(message) === 'a')!;
    await remove(batch.find((message) => groupOf(message) === 'b')!);
    await release(failed);
    const [again] = await receive(sqs.client, queueUrl, 1);
    expect(again).toMatchObject({ MessageId: failed.MessageId, Body: '1' });
    expect(again?.Attributes?.ApproximateReceiveCount).toBe('2');
    await remove(again!);
    expect(bodies(await receive(sqs.client, queueUrl))).toEqual(['2']);
  });

  it('moves a message to its dead-letter queue after maxReceiveCount receives, and continues with its group', async () => {
    await send('a', 'poison');
    await send('a', 'good');
    for (let i = 0; i < 2; i++) {
      const [message] = await receive(sqs.client, queueUrl, 1);
      expect(message?.Body).toBe('poison');
      await release(message!);
    }
    expect(bodies(await receive(sqs.client, queueUrl))).toEqual(['good']);
    const [dead] = await receive(sqs.client, deadLetterQueueUrl);
    expect([dead?.Body, groupOf(dead!)]).toEqual(['poison', 'a']);
  });

  it('gives every message the attributes that an event source passes on', async () => {
    const before = Date.now();
    const { MessageId, SequenceNumber } = await sqs.client.send(
      new SendMessageCommand({
        QueueUrl: queueUrl,
        MessageBody: 'body',
        MessageGroupId: 'a',
        MessageDeduplicationId: 'event-1',
        MessageAttributes: { kind: { DataType: 'String', StringValue: 'feedback' } },
      }),
    );
    const [message] = await receive(sqs.client, queueUrl);
    expect(message).toMatchObject({
      MessageId,
      Body: 'body',
      MD5OfBody: '841a2d689ad86bd1611447453c22c6fc',
      MessageAttributes: { kind: { DataType: 'String', StringValue: 'feedback' } },
      Attributes: {
        MessageGroupId: 'a',
        MessageDeduplicationId: 'event-1',
        SequenceNumber,
        ApproximateReceiveCount: '1',
      },
    });
    // The clocks of AWS and of this machine may differ.
    expect(Math.abs(Number(message?.Attributes?.SentTimestamp) - before)).toBeLessThan(60_000);
  });

  it('numbers the messages of a group upwards', async () => {
    const numbers = [];
    for (const body of ['1', '2', '3']) numbers.push(BigInt((await send('a', body)).SequenceNumber ?? ''));
    expect(numbers).toEqual([...numbers].sort((x, y) => (x < y ? -1 : 1)));
    expect(new Set(numbers).size).toBe(3);
  });

  it('takes a batch of ten, in order within each group', async () => {
    const Entries = Array.from({ length: 10 }, (_, i) => ({
      Id: String(i),
      MessageBody: String(i),
      MessageGroupId: i % 2 === 0 ? 'even' : 'odd',
      MessageDeduplicationId: String(i),
    }));
    const { Successful, Failed } = await sqs.client.send(
      new SendMessageBatchCommand({ QueueUrl: queueUrl, Entries }),
    );
    expect([Successful?.length, Failed?.length ?? 0]).toEqual([10, 0]);
    const received: Message[] = [];
    while (received.length < 10) {
      const messages = await receive(sqs.client, queueUrl);
      for (const message of messages) await remove(message);
      received.push(...messages);
    }
    expect(bodies(received.filter((m) => groupOf(m) === 'even'))).toEqual(['0', '2', '4', '6', '8']);
    expect(bodies(received.filter((m) => groupOf(m) === 'odd'))).toEqual(['1', '3', '5', '7', '9']);
  });

  it('takes a message of exactly its maximum size, and refuses a larger one', async () => {
    await send('a', 'x'.repeat(262_144), 'fits');
    await expect(send('a', 'x'.repeat(262_145), 'too large')).rejects.toThrow(/262144/);
  });

  it('delivers every character that SQS documents as it was sent', async () => {
    const all = [
      ...[0x9, 0xa, 0xd],
      ...range(0x20, 0xd7ff),
      ...range(0xe000, 0xfffd),
      ...range(0x10000, 0x10ffff),
    ];
    // At most four bytes each, and a message holds 262,144.
    const sent: string[] = [];
    for (let start = 0; start < all.length; start += 65_536) {
      sent.push(
        all
          .slice(start, start + 65_536)
          .map((code) => String.fromCodePoint(code))
          .join(''),
      );
      await send('a', sent.at(-1)!, `characters-${start}`);
    }
    expect(sent).toHaveLength(17);
    for (const body of sent) {
      const [message] = await receive(sqs.client, queueUrl, 1);
      // Not toEqual, which would print them all.
      expect(message?.Body === body).toBe(true);
      await remove(message!);
    }
  });

  it('refuses every other character', async () => {
    const others = [...range(0, 0x1f).filter((code) => ![0x9, 0xa, 0xd].includes(code)), 0xfffe, 0xffff];
    expect(others).toHaveLength(31);
    for (const code of others) {
      await expect(send('a', `x${String.fromCodePoint(code)}`, `other-${code}`)).rejects.toThrow(
        expect.objectContaining({ name: expect.stringMatching(/InvalidMessageContents$/) }),
      );
    }
    expect(await receive(sqs.client, queueUrl)).toEqual([]);
  });

  it('ends a waiting receive as soon as there is a message', async () => {
    const waiting = receive(sqs.client, queueUrl, 10, 20);
    const startedAt = performance.now();
    await send('a', 'soon');
    expect(bodies(await waiting)).toEqual(['soon']);
    expect(performance.now() - startedAt).toBeLessThan(15_000);
  });
});
