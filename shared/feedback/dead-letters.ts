import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { UnavailableError } from '../errors.ts';

/** A message that the update function gave back too often. */
export interface DeadLetter {
  readonly messageId: string;
  readonly groupId: string;
  /** Epoch milliseconds. */
  readonly sentAt: number;
  readonly body: string;
  readonly receiptHandle: string;
}

/** Long enough to look through a queue; what was received and not deleted is to be released. */
const HELD_SECONDS = 300;

/**
 * The dead-letter queue, by receive and delete: SQS's own redrive can neither be looked into nor filtered. A FIFO queue hands out a
 * user's next messages only once the ones before are deleted, so a look sees the first of every user, and a loop that deletes sees all.
 */
export class DeadLetters {
  readonly #client: SQSClient;
  readonly #queueUrl: string;

  constructor(client: SQSClient, queueUrl: string) {
    this.#client = client;
    this.#queueUrl = queueUrl;
  }

  /**
   * Receives until nothing more comes, each user's messages in order. They stay hidden from others for five minutes.
   * @throws UnavailableError
   */
  async *receive(): AsyncGenerator<DeadLetter, void, undefined> {
    for (;;) {
      const { Messages = [] } = await this.#try('receive from', () =>
        this.#client.send(
          new ReceiveMessageCommand({
            QueueUrl: this.#queueUrl,
            MaxNumberOfMessages: 10,
            WaitTimeSeconds: 1,
            VisibilityTimeout: HELD_SECONDS,
            MessageSystemAttributeNames: ['MessageGroupId', 'SentTimestamp'],
          }),
        ),
      );
      if (Messages.length === 0) return;
      for (const { MessageId = '', Body = '', ReceiptHandle = '', Attributes = {} } of Messages) {
        yield {
          messageId: MessageId,
          groupId: Attributes.MessageGroupId ?? '',
          sentAt: Number(Attributes.SentTimestamp ?? 0),
          body: Body,
          receiptHandle: ReceiptHandle,
        };
      }
    }
  }

  /** @throws UnavailableError */
  async delete({ receiptHandle }: DeadLetter): Promise<void> {
    await this.#try('delete from', () =>
      this.#client.send(new DeleteMessageCommand({ QueueUrl: this.#queueUrl, ReceiptHandle: receiptHandle })),
    );
  }

  /** Lets others receive it at once. @throws UnavailableError */
  async release({ receiptHandle }: DeadLetter): Promise<void> {
    await this.#try('release a message of', () =>
      this.#client.send(
        new ChangeMessageVisibilityCommand({
          QueueUrl: this.#queueUrl,
          ReceiptHandle: receiptHandle,
          VisibilityTimeout: 0,
        }),
      ),
    );
  }

  async #try<T>(action: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (cause) {
      const reason = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
      throw new UnavailableError(`cannot ${action} ${this.#queueUrl}: ${reason}`, { cause });
    }
  }
}
