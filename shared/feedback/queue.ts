/** A message for the queue. */
export interface QueueEntry {
  /** Names the entry within its batch. */
  readonly id: string;
  readonly body: string;
  readonly messageGroupId: string;
  readonly messageDeduplicationId: string;
}

/** An entry that the queue did not accept, with the queue's own message. */
export interface RefusedEntry {
  readonly id: string;
  readonly code: string;
  readonly message: string;
  /** The entry itself is wrong: a retry would fail again. */
  readonly senderFault: boolean;
}

/** The destination of feedback events: a FIFO queue. */
export interface FeedbackQueue {
  /**
   * Sends at most `BATCH_LIMITS`. Every entry that is not in `failed` was accepted.
   * @throws AttuneError when the whole request failed; `retryable` tells whether to retry
   */
  sendBatch(entries: readonly QueueEntry[]): Promise<{ readonly failed: readonly RefusedEntry[] }>;
}

/** Limits of SendMessageBatch: entries, and the sum of their bodies' bytes. */
export const BATCH_LIMITS = { entries: 10, bytes: 1024 * 1024 } as const;
