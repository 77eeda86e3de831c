import {
  ChangeMessageVisibilityCommand,
  GetQueueUrlCommand,
  ReceiveMessageCommand,
  SendMessageCommand,
} from '@aws-sdk/client-sqs';
import { expect, it, onTestFinished } from 'vitest';
import { type LocalSqs, startSqs } from '../../../infra/local/sqs.ts';
import { sqsClient } from '../../../shared/config/clients/sqs.ts';
import { InvalidConfigurationError } from '../../../shared/errors.ts';
import { temporaryFolder } from '../../support/assembly-fixture.ts';

const FIFO = { FifoQueue: 'true', VisibilityTimeout: '3600' };

function clientOf({ endpoint }: LocalSqs) {
  const client = sqsClient({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'x', secretAccessKey: 'x' },
  });
  onTestFinished(() => client.destroy());
  const queueUrl = async () => (await client.send(new GetQueueUrlCommand({ QueueName: 'q.fifo' }))).QueueUrl;
  return {
    queueUrl,
    async send(body: string) {
      const ids = { MessageGroupId: 'a', MessageDeduplicationId: body };
      await client.send(new SendMessageCommand({ QueueUrl: await queueUrl(), MessageBody: body, ...ids }));
    },
    async receive() {
      const command = new ReceiveMessageCommand({
        QueueUrl: await queueUrl(),
        MessageSystemAttributeNames: ['All'],
      });
      return (await client.send(command)).Messages?.[0];
    },
    async release(ReceiptHandle: string | undefined) {
      const release = { QueueUrl: await queueUrl(), ReceiptHandle, VisibilityTimeout: 0 };
      await client.send(new ChangeMessageVisibilityCommand(release));
    },
  };
}

it('SQS listens on the loopback interface only', async () => {
  const sqs = await startSqs({});
  onTestFinished(() => sqs.close());
  expect(sqs.endpoint).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect((await fetch(`${sqs.endpoint}/health`)).status).toBe(200);
  await expect(fetch(`${sqs.endpoint}/health`.replace('127.0.0.1', '127.0.0.2'))).rejects.toThrow();
});

it('SQS with a data folder keeps messages across a restart, and makes in-flight ones visible in order', async () => {
  const dataDir = temporaryFolder();
  const first = await startSqs({ dataDir });
  const url = first.ensureQueue('q.fifo', FIFO).url;
  const before = clientOf(first);
  for (const body of ['1', '2', '3']) await before.send(body);
  expect((await before.receive())?.Body).toBe('1');
  await first.close();

  const second = await startSqs({ dataDir });
  onTestFinished(() => second.close());
  const queue = second.ensureQueue('q.fifo', { ...FIFO, VisibilityTimeout: '60' });
  const after = clientOf(second);
  expect([queue.url, await after.queueUrl()]).toEqual([
    `${second.endpoint}/000000000000/q.fifo`,
    `${second.endpoint}/000000000000/q.fifo`,
  ]);
  expect(queue.url).not.toBe(url);
  expect(queue.attributes.VisibilityTimeout).toBe('60');
  const message = await after.receive();
  expect([message?.Body, message?.Attributes?.ApproximateReceiveCount]).toEqual(['1', '2']);
  expect(queue.inspectMessages().ready.map(({ body }) => body)).toEqual(['2', '3']);
});

it('SQS with a data folder delivers a released message again, with its receive count', async () => {
  const sqs = await startSqs({ dataDir: temporaryFolder() });
  onTestFinished(() => sqs.close());
  sqs.ensureQueue('q.fifo', FIFO);
  const client = clientOf(sqs);
  await client.send('1');
  await client.release((await client.receive())?.ReceiptHandle);
  const again = await client.receive();
  expect([again?.Body, again?.Attributes?.ApproximateReceiveCount]).toEqual(['1', '2']);
});

it('SQS refuses a port in use and names it', async () => {
  const sqs = await startSqs({});
  onTestFinished(() => sqs.close());
  const port = Number(new URL(sqs.endpoint).port);
  await expect(startSqs({ port })).rejects.toThrow(
    new InvalidConfigurationError(
      `port ${port} for sqs: found it in use by another program, expected a free port (0 selects one)`,
    ),
  );
});
