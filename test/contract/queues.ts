/**
 * The queues that the SQS contract tests run against: a FIFO queue set up as Attune's, and its
 * dead-letter queue.
 *
 * By default they are those of the local stack. With `ATTUNE_CONTRACT_SQS` set to anything they are
 * made on AWS, or an emulator of it, reached by the standard environment of the AWS SDK
 * (`AWS_REGION`, credentials, and `AWS_ENDPOINT_URL_SQS` for an emulator), as
 * `attune-contract-<random>.fifo`, and deleted when the tests end.
 */
import { randomUUID } from 'node:crypto';
import {
  CreateQueueCommand,
  DeleteQueueCommand,
  GetQueueAttributesCommand,
  type Message,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { startSqs } from '../../infra/local/sqs.ts';
import { sqsClient } from '../../shared/config/clients/sqs.ts';
import { LOCAL } from '../support/local-clients.ts';

export interface SqsUnderTest {
  readonly client: SQSClient;
  /**
   * Creates a queue like Attune's: received messages are invisible for a minute, and dead after two
   * receives.
   */
  createQueues(): Promise<{ readonly queueUrl: string; readonly deadLetterQueueUrl: string }>;
  /** Deletes the queues, or ends the local server. */
  stop(): Promise<void>;
}

/** SQS as the environment names it, or a local one. */
export async function sqsUnderTest(): Promise<SqsUnderTest> {
  const server = process.env.ATTUNE_CONTRACT_SQS ? undefined : await startSqs({});
  const client = sqsClient(
    server === undefined
      ? {}
      : {
          endpoint: server.endpoint,
          ...LOCAL,
        },
  );
  const created: string[] = [];
  const create = async (name: string, attributes: Record<string, string>) => {
    const { QueueUrl = '' } = await client.send(
      new CreateQueueCommand({ QueueName: name, Attributes: { FifoQueue: 'true', ...attributes } }),
    );
    created.push(QueueUrl);
    return QueueUrl;
  };
  return {
    client,
    async createQueues() {
      const name = `attune-contract-${randomUUID()}`;
      const deadLetterQueueUrl = await create(`${name}-dead.fifo`, {});
      const { Attributes } = await client.send(
        new GetQueueAttributesCommand({ QueueUrl: deadLetterQueueUrl, AttributeNames: ['QueueArn'] }),
      );
      const queueUrl = await create(`${name}.fifo`, {
        VisibilityTimeout: '60',
        MaximumMessageSize: '262144',
        DeduplicationScope: 'messageGroup',
        FifoThroughputLimit: 'perMessageGroupId',
        RedrivePolicy: JSON.stringify({ deadLetterTargetArn: Attributes?.QueueArn, maxReceiveCount: 2 }),
      });
      return { queueUrl, deadLetterQueueUrl };
    },
    async stop() {
      if (server === undefined) {
        for (const QueueUrl of created) await client.send(new DeleteQueueCommand({ QueueUrl }));
      }
      client.destroy();
      await server?.close();
    },
  };
}

/** Receives up to `count` messages, with all attributes, waiting some seconds for the first. */
export async function receive(
  client: SQSClient,
  queueUrl: string,
  count = 10,
  waitSeconds = 1,
): Promise<Message[]> {
  const { Messages = [] } = await client.send(
    new ReceiveMessageCommand({
      QueueUrl: queueUrl,
      MaxNumberOfMessages: count,
      WaitTimeSeconds: waitSeconds,
      MessageSystemAttributeNames: ['All'],
      MessageAttributeNames: ['All'],
    }),
  );
  return Messages;
}
