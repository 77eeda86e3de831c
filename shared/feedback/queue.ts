/** A message as it goes to the queue. */
export interface QueueEntry {
  /** Names the entry within its batch. */
  readonly id: string;
  readonly body: string;
  readonly messageGroupId: string;
  readonly messageDeduplicationId: string;
}

/** An entry that the queue did not take, with the queue's own words. */
export interface RefusedEntry {
  readonly id: string;
  readonly code: string;
  readonly message: string;
  /** The entry itself is at fault: sending it again would fail again. */
  readonly senderFault: boolean;
}

/** Where feedback events go: a FIFO queue. */
export interface FeedbackQueue {
  /**
   * Sends at most `BATCH_LIMITS`; every entry that is not in `failed` was accepted.
   * @throws AttuneError when the whole request failed; `retryable` tells whether another try makes sense
   */
  sendBatch(entries: readonly QueueEntry[]): Promise<{ readonly failed: readonly RefusedEntry[] }>;
}

/** Limits of SendMessageBatch: entries, and the sum of their bodies' bytes. */
export const BATCH_LIMITS = { entries: 10, bytes: 1024 * 1024 } as const;
