import {
  GetQueueAttributesCommand,
  SendMessageBatchCommand,
  type SQSClient,
  SQSServiceException,
} from '@aws-sdk/client-sqs';
import { type AttuneError, InvalidConfigurationError, NotFoundError, UnavailableError } from '../errors.ts';
import type { FeedbackQueue, QueueEntry } from './queue.ts';

/** Feedback queue on SQS. */
export class SqsFeedbackQueue implements FeedbackQueue {
  readonly #client: SQSClient;
  readonly #queueUrl: string;

  constructor(client: SQSClient, queueUrl: string) {
    this.#client = client;
    this.#queueUrl = queueUrl;
  }

  /**
   * @throws NotFoundError when there is no such queue
   * @throws InvalidConfigurationError when the caller has no credentials or may not send
   * @throws UnavailableError for everything temporary: throttling, 5xx, network
   */
  async sendBatch(entries: readonly QueueEntry[]): ReturnType<FeedbackQueue['sendBatch']> {
    const command = new SendMessageBatchCommand({
      QueueUrl: this.#queueUrl,
      Entries: entries.map((entry) => ({
        Id: entry.id,
        MessageBody: entry.body,
        MessageGroupId: entry.messageGroupId,
        MessageDeduplicationId: entry.messageDeduplicationId,
      })),
    });
    try {
      const { Failed = [] } = await this.#client.send(command);
      return {
        failed: Failed.map((failure) => ({
          id: failure.Id ?? '',
          code: failure.Code ?? 'Unknown',
          message: failure.Message ?? '',
          senderFault: failure.SenderFault ?? false,
        })),
      };
    } catch (cause) {
      throw this.#translated(cause);
    }
  }

  /**
   * Creation time of the queue, which tells it from a later queue of the same name. Undefined when
   * the caller lacks `sqs:GetQueueAttributes`, or SQS does not answer.
   */
  async createdAt(): Promise<string | undefined> {
    const command = new GetQueueAttributesCommand({
      QueueUrl: this.#queueUrl,
      AttributeNames: ['CreatedTimestamp'],
    });
    const answer = await this.#client.send(command).catch(() => undefined);
    return answer?.Attributes?.CreatedTimestamp;
  }

  /**
   * Approximate number of visible, delayed and in-flight messages.
   * @throws as {@link sendBatch}
   */
  async size(): Promise<number> {
    const names = [
      'ApproximateNumberOfMessages',
      'ApproximateNumberOfMessagesDelayed',
      'ApproximateNumberOfMessagesNotVisible',
    ] as const;
    const command = new GetQueueAttributesCommand({ QueueUrl: this.#queueUrl, AttributeNames: [...names] });
    try {
      const { Attributes = {} } = await this.#client.send(command);
      return names.reduce((sum, name) => sum + Number(Attributes[name] ?? 0), 0);
    } catch (cause) {
      throw this.#translated(cause);
    }
  }

  #translated(cause: unknown): AttuneError {
    const { name, message } = cause instanceof Error ? cause : { name: 'Error', message: String(cause) };
    // A refused connection is an AggregateError without a message.
    const text = `${this.#queueUrl}: ${name}: ${message || reasonOf(cause)}`;
    if (name === 'QueueDoesNotExist') return new NotFoundError(text, { cause });
    const refused = cause instanceof SQSServiceException && isRefusal(cause);
    if (refused || name === 'CredentialsProviderError') return new InvalidConfigurationError(text, { cause });
    return new UnavailableError(text, { cause });
  }
}

/** A 4xx other than throttling: the request itself is forbidden or invalid. */
function isRefusal(error: SQSServiceException): boolean {
  const status = error.$metadata.httpStatusCode ?? 0;
  return status >= 400 && status < 500 && status !== 429 && !/throttl|slow ?down|too ?many/i.test(error.name);
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error && 'code' in cause ? String(cause.code) : 'no message';
}
