import { createHash } from 'node:crypto';
import { orAborted } from '../abort.ts';
import { userKey } from '../config/user-key.ts';
import { AttuneError } from '../errors.ts';
import { BATCH_LIMITS, type FeedbackQueue, type QueueEntry } from './queue.ts';

/** One feedback event, ready to be sent. */
export interface OutgoingMessage {
  readonly eventId: string;
  readonly userId: string;
  /** Number of its interactions. */
  readonly interactions: number;
  /**
   * Position of its first interaction in the publisher's input, from 0; the event's own position
   * when the input is events.
   */
  readonly position: number;
  /** Content keys of its interactions, when the publisher names them by content. */
  readonly keys?: readonly bigint[];
  readonly body: string;
}

export interface DeliveryOptions {
  /** Most attempts of a message, or of a request. */
  readonly maxAttempts: number;
  readonly sleep: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly signal: AbortSignal | undefined;
  readonly onAccepted: (message: OutgoingMessage) => void;
  readonly onFailed: (message: OutgoingMessage, code: string, reason: string) => void;
  /** After every request. */
  readonly onRequest: () => void;
}

const BACKOFF_MS = { first: 100, longest: 20_000 } as const;
/**
 * Messages to read ahead, so that a batch finds several users even when one has many messages in a
 * row.
 */
const READ_AHEAD = 256;

interface Attempted {
  readonly message: OutgoingMessage;
  attempts: number;
}

/** Why the delivery stopped. */
interface Halt {
  readonly code: string;
  readonly reason: string;
}

const ABORTED: Halt = { code: 'aborted', reason: 'publishing was stopped' };

/**
 * Sends messages in batches, in order within each user: a user's next message is sent only after
 * the queue accepted the one before, so that a batch has one message per user. Failed entries are
 * retried with exponential backoff and full jitter (Brooker, "Exponential Backoff And Jitter",
 * 2015). After the last attempt the message and the later ones of its user are reported as failed.
 * When whole requests keep failing, all remaining messages are.
 */
export class Delivery {
  readonly #queue: FeedbackQueue;
  readonly #options: DeliveryOptions;
  /** Messages that are not accepted yet: one lane per user, in order, for a few users. */
  readonly #lanes = new Map<string, Attempted[]>();
  readonly #blocked = new Map<string, Halt>();
  #waiting = 0;
  #failedRequests = 0;
  #halt: Halt | undefined;

  constructor(queue: FeedbackQueue, options: DeliveryOptions) {
    this.#queue = queue;
    this.#options = options;
  }

  /** Resolves when every message was accepted or reported; throws only what `messages` throws. */
  async run(messages: AsyncIterable<OutgoingMessage>): Promise<void> {
    const source = messages[Symbol.asyncIterator]();
    let more = true;
    for (;;) {
      while (more && this.#wantsMore()) {
        const next = await source.next();
        if (next.done) more = false;
        else this.#enqueue(next.value);
      }
      if (this.#lanes.size === 0) return;
      await this.#sendNextBatch();
    }
  }

  #wantsMore(): boolean {
    return this.#lanes.size < BATCH_LIMITS.entries && this.#waiting < READ_AHEAD;
  }

  #enqueue(message: OutgoingMessage): void {
    if (this.#options.signal?.aborted) this.#halt ??= ABORTED;
    const refusal = this.#halt ?? this.#blocked.get(message.userId);
    if (refusal !== undefined) {
      this.#options.onFailed(message, refusal.code, refusal.reason);
      return;
    }
    const lane = this.#lanes.get(message.userId);
    if (lane === undefined) this.#lanes.set(message.userId, [{ message, attempts: 0 }]);
    else lane.push({ message, attempts: 0 });
    this.#waiting++;
  }

  async #sendNextBatch(): Promise<void> {
    if (this.#options.signal?.aborted) {
      this.#stop(ABORTED);
      return;
    }
    const batch = this.#nextBatch();
    let attempt: number;
    try {
      const entries = batch.map(({ message }, index) => entryOf(message, index));
      const { failed } = await orAborted(this.#queue.sendBatch(entries), this.#options.signal);
      this.#failedRequests = 0;
      attempt = this.#settle(batch, new Map(failed.map((entry) => [entry.id, entry])));
    } catch (error) {
      if (this.#options.signal?.aborted) {
        this.#stop(ABORTED);
        return;
      }
      attempt = ++this.#failedRequests;
      const code = error instanceof AttuneError ? error.code : 'unavailable';
      const hopeless = error instanceof AttuneError && !error.retryable;
      if (hopeless || attempt >= this.#options.maxAttempts) this.#stop({ code, reason: textOf(error) });
    }
    this.#options.onRequest();
    if (attempt > 0 && this.#lanes.size > 0) await this.#backOff(attempt);
  }

  /** The first message of each lane. There are never more lanes than a request takes entries. */
  #nextBatch(): Attempted[] {
    const batch: Attempted[] = [];
    let bytes = 0;
    for (const [head] of this.#lanes.values()) {
      if (head === undefined) continue;
      bytes += Buffer.byteLength(head.message.body);
      if (bytes > BATCH_LIMITS.bytes) break;
      batch.push(head);
    }
    return batch;
  }

  /**
   * Processes the answer.
   * @returns the highest number of attempts of an entry to retry, or 0
   */
  #settle(
    batch: readonly Attempted[],
    failed: ReadonlyMap<string, { code: string; message: string; senderFault: boolean }>,
  ) {
    let attempts = 0;
    for (const [index, sent] of batch.entries()) {
      const failure = failed.get(String(index));
      sent.attempts++;
      if (failure === undefined) this.#accept(sent.message);
      else if (failure.senderFault || sent.attempts >= this.#options.maxAttempts) {
        this.#giveUp(sent.message, { code: failure.code, reason: failure.message });
      } else attempts = Math.max(attempts, sent.attempts);
    }
    return attempts;
  }

  #accept(message: OutgoingMessage): void {
    const [, ...later] = this.#lanes.get(message.userId) ?? [];
    this.#waiting--;
    // To the end of the line, so that users take turns.
    this.#lanes.delete(message.userId);
    if (later.length > 0) this.#lanes.set(message.userId, later);
    this.#options.onAccepted(message);
  }

  #giveUp({ userId, eventId }: OutgoingMessage, { code, reason }: Halt): void {
    const [first, ...later] = this.#lanes.get(userId) ?? [];
    this.#lanes.delete(userId);
    const blocked = { code: 'blocked', reason: `not sent, because event ${eventId} of the same user failed` };
    this.#blocked.set(userId, blocked);
    if (first !== undefined) this.#fail(first.message, { code, reason });
    for (const { message } of later) this.#fail(message, blocked);
  }

  #stop(halt: Halt): void {
    this.#halt = halt;
    const left = [...this.#lanes.values()].flat();
    this.#lanes.clear();
    for (const { message } of left) this.#fail(message, halt);
  }

  #fail(message: OutgoingMessage, { code, reason }: Halt): void {
    this.#waiting--;
    this.#options.onFailed(message, code, reason);
  }

  async #backOff(attempt: number): Promise<void> {
    const ceiling = Math.min(BACKOFF_MS.longest, BACKOFF_MS.first * 2 ** (attempt - 1));
    try {
      await this.#options.sleep(this.#options.random() * ceiling, this.#options.signal);
    } catch (error) {
      if (!this.#options.signal?.aborted) throw error;
    }
  }
}

function entryOf(message: OutgoingMessage, index: number): QueueEntry {
  return {
    id: String(index),
    body: message.body,
    messageGroupId: userKey(message.userId),
    messageDeduplicationId: deduplicationId(message.userId, message.eventId),
  };
}

/** Two users may choose the same event id, so the user is part of the key. No id holds a NUL. */
function deduplicationId(userId: string, eventId: string): string {
  return createHash('sha256').update(`${userId}\0${eventId}`).digest('hex');
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
