import {
  ChangeMessageVisibilityCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  ReceiveMessageCommand,
  type SQSClient,
} from '@aws-sdk/client-sqs';
import { UnavailableError } from '../errors.ts';

/** A message that failed too often. */
export interface DeadLetter {
  readonly messageId: string;
  readonly groupId: string;
  /** Epoch milliseconds. */
  readonly sentAt: number;
  readonly body: string;
  readonly receiptHandle: string;
}

/**
 * Long enough to read a whole queue. Messages that are received and not deleted should be released.
 */
const HELD_SECONDS = 300;

/**
 * The dead-letter queue, by receive and delete, because SQS's own redrive can neither list nor
 * filter messages. A FIFO queue delivers a user's next messages only after the earlier ones are
 * deleted, so that listing sees the first of every user, and a loop with deletes sees all.
 */
export class DeadLetters {
  readonly #client: SQSClient;
  readonly #queueUrl: string;

  constructor(client: SQSClient, queueUrl: string) {
    this.#client = client;
    this.#queueUrl = queueUrl;
  }

  /**
   * Receives until the queue is empty, each user's messages in order. They stay invisible to others
   * for five minutes.
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

  /**
   * Numbers of messages that can be received, and of messages that some consumer has received and
   * not deleted. SQS counts approximately: the numbers can be up to a minute old.
   * @throws UnavailableError
   */
  async count(): Promise<{ readonly visible: number; readonly inFlight: number }> {
    const { Attributes = {} } = await this.#try('count', () =>
      this.#client.send(
        new GetQueueAttributesCommand({
          QueueUrl: this.#queueUrl,
          AttributeNames: ['ApproximateNumberOfMessages', 'ApproximateNumberOfMessagesNotVisible'],
        }),
      ),
    );
    return {
      visible: Number(Attributes.ApproximateNumberOfMessages ?? 0),
      inFlight: Number(Attributes.ApproximateNumberOfMessagesNotVisible ?? 0),
    };
  }

  /** @throws UnavailableError */
  async delete({ receiptHandle }: DeadLetter): Promise<void> {
    await this.#try('delete from', () =>
      this.#client.send(new DeleteMessageCommand({ QueueUrl: this.#queueUrl, ReceiptHandle: receiptHandle })),
    );
  }

  /**
   * Makes a message visible to others at once.
   * @throws UnavailableError
   */
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
