import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ReceiveMessageCommand, SQSClient } from '@aws-sdk/client-sqs';
import { type FauxqsServer, startFauxqs } from 'fauxqs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';
import { InvalidConfigurationError, NotFoundError, UnavailableError } from '../../../shared/errors.ts';
import { parseFeedbackEvent } from '../../../shared/feedback/event.ts';
import { FeedbackPublisher } from '../../../shared/feedback/publisher.ts';
import { SqsFeedbackQueue } from '../../../shared/feedback/sqs-queue.ts';
import { LOCAL } from '../../support/local-clients.ts';

let server: FauxqsServer;
let client: SQSClient;
let queueUrl: string;

const clientOf = (endpoint: string) =>
  new SQSClient({
    endpoint,
    ...LOCAL,
    useQueueUrlAsEndpoint: false,
    maxAttempts: 1,
  });

beforeAll(async () => {
  server = await startFauxqs({ port: 0, logger: false });
  client = clientOf(server.address);
  ({ queueUrl } = server.createQueue('feedback.fifo', { attributes: { FifoQueue: 'true' } }));
});

afterAll(async () => {
  client.destroy();
  await server.stop();
});

const entry = (id: string, body: string, group = 'group') => ({
  id,
  body,
  messageGroupId: group,
  messageDeduplicationId: `${group}-${id}`,
});

test('published interactions arrive in SQS, a repeated event once', async () => {
  const publisher = new FeedbackPublisher({ queue: new SqsFeedbackQueue(client, queueUrl) });
  const embedding = Array.from({ length: 16 }, (_, i) => i);
  const event = {
    eventId: 'one',
    userId: 'Zoë\uffff',
    occurredAt: '2026-01-01T00:00:00Z',
    interactions: [{ itemId: 'item', embedding, reward: 0.5 }],
  };
  expect(await publisher.publishEvents([event])).toMatchObject({ events: 1, failed: [] });
  expect(await publisher.publishEvents([event])).toMatchObject({ events: 1, failed: [] });
  const { Messages = [] } = await client.send(
    new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: 10,
      MessageSystemAttributeNames: ['All'],
    }),
  );
  expect(Messages).toHaveLength(1);
  expect(Messages[0]?.Attributes?.MessageGroupId).toBe(userKey('Zoë\uffff'));
  expect(
    parseFeedbackEvent(Messages[0]?.Body ?? '', { embeddingDim: 16, embeddingModel: 'default' }),
  ).toStrictEqual({
    schemaVersion: 1,
    ...event,
    interactions: [{ itemId: 'item', embedding: Float32Array.from(embedding), reward: 0.5 }],
  });
});

test('refused entries are reported with the code of SQS, and the others are accepted', async () => {
  const queue = new SqsFeedbackQueue(client, queueUrl);
  const { failed } = await queue.sendBatch([entry('0', 'good', 'x'), entry('1', 'bad \uffff', 'y')]);
  expect(failed).toMatchObject([{ id: '1', code: 'InvalidMessageContents', senderFault: true }]);
});

test('a queue that does not exist is not found', async () => {
  const queue = new SqsFeedbackQueue(client, `${queueUrl}-other.fifo`);
  await expect(queue.sendBatch([entry('0', 'x')])).rejects.toThrow(NotFoundError);
});

test('a request that SQS refuses for good gives a permanent error', async () => {
  const queue = new SqsFeedbackQueue(client, queueUrl);
  await expect(queue.sendBatch([])).rejects.toThrow(InvalidConfigurationError);
});

test.each([
  [400, 'RequestThrottled'],
  [400, 'ThrottlingException'],
  [500, 'InternalFailure'],
])('an answer %d %s gives a retryable error', async (status, type) => {
  const answering = createServer((_, response) => {
    response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' });
    response.end(JSON.stringify({ __type: `com.amazonaws.sqs#${type}`, message: 'slow down' }));
  });
  await once(answering.listen(0, '127.0.0.1'), 'listening');
  const { port } = answering.address() as AddressInfo;
  const throttled = clientOf(`http://127.0.0.1:${port}`);
  const attempt = new SqsFeedbackQueue(throttled, queueUrl).sendBatch([entry('0', 'x')]);
  await expect(attempt).rejects.toThrow(UnavailableError);
  throttled.destroy();
  answering.close();
});

test('a queue that cannot be reached is unavailable, and the message names it', async () => {
  const nowhere = clientOf('http://127.0.0.1:1');
  const attempt = new SqsFeedbackQueue(nowhere, queueUrl).sendBatch([entry('0', 'x')]);
  await expect(attempt).rejects.toThrow(UnavailableError);
  await expect(attempt).rejects.toThrow(/feedback\.fifo: .*ECONNREFUSED/);
  nowhere.destroy();
});
