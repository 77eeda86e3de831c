import { ChangeMessageVisibilityBatchCommand, type SQSClient } from '@aws-sdk/client-sqs';

/** A message that failed and is in flight. */
export interface FailedMessage {
  readonly receiptHandle: string;
  /** Of a FIFO queue; a message without one is its own group. */
  readonly groupId: string | undefined;
  /** How often the queue has delivered it; 1 for the first time. */
  readonly receiveCount: number;
}

const FIRST_DELAY_SECONDS = 2;

/**
 * Seconds until a failed message is delivered again: 2 after the first failure, doubling up to
 * `longest`, minus a random part of up to half, so that messages that failed together do not return
 * together.
 * @param random a number in [0, 1)
 */
export function retrySeconds(receiveCount: number, longest: number, random: number): number {
  const full = Math.min(longest, FIRST_DELAY_SECONDS * 2 ** (receiveCount - 1));
  return Math.ceil(full * (1 - random / 2));
}

/** Redelivers failed messages before the queue's visibility timeout does. */
export class Redelivery {
  readonly #client: SQSClient;
  readonly #queueUrl: string;
  readonly #longestSeconds: number;
  readonly #random: () => number;

  /** @param longestSeconds the queue's visibility timeout */
  constructor(client: SQSClient, queueUrl: string, longestSeconds: number, random: () => number) {
    this.#client = client;
    this.#queueUrl = queueUrl;
    this.#longestSeconds = longestSeconds;
    this.#random = random;
  }

  /**
   * Redelivers messages of one group together: a FIFO queue delivers nothing of a group while a
   * message of it is in flight, so a later deadline of one would delay all. The first message of a
   * group decides.
   * @param messages at most ten, in the order of delivery
   * @throws the SDK's error; the messages then return after the visibility timeout
   */
  async schedule(messages: readonly FailedMessage[], signal: AbortSignal): Promise<void> {
    const groups = Map.groupBy(messages, ({ groupId, receiptHandle }) => groupId ?? receiptHandle);
    const entries = [...groups.values()].flatMap((group) => {
      const seconds = retrySeconds(group[0]!.receiveCount, this.#longestSeconds, this.#random());
      return group.map(({ receiptHandle }) => ({
        ReceiptHandle: receiptHandle,
        VisibilityTimeout: seconds,
      }));
    });
    if (entries.length === 0) return;
    await this.#client.send(
      new ChangeMessageVisibilityBatchCommand({
        QueueUrl: this.#queueUrl,
        Entries: entries.map((entry, i) => ({ Id: String(i), ...entry })),
      }),
      { abortSignal: signal },
    );
  }
}
