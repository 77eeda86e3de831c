import type { Random } from '../../shared/lora/random.ts';

/** A message of a {@link FifoQueue}. */
export interface FifoMessage {
  readonly messageId: string;
  readonly groupId: string;
  readonly body: string;
  /** Epoch milliseconds. */
  readonly sentAt: number;
}

interface Entry {
  readonly message: FifoMessage;
  /** Identifies the last receive; a delete with an older one has no effect. */
  receipt: number;
  /** When the message can be received again; 0 before the first receive. */
  visibleAt: number;
}

export interface FifoBatch {
  readonly messages: readonly FifoMessage[];
  readonly receipts: ReadonlyMap<string, number>;
}

/**
 * An SQS FIFO queue as its guide describes it, which differs from the local stack's: a receive
 * takes as many messages of one group as fit. While a message is in flight, its group delivers
 * nothing more.
 */
export class FifoQueue {
  readonly #groups = new Map<string, Entry[]>();
  readonly #random: Random;
  readonly #visibilityMs: number;
  #receipts = 0;
  /** Messages that were received again. */
  redelivered = 0;

  constructor(random: Random, visibilityMs: number) {
    this.#random = random;
    this.#visibilityMs = visibilityMs;
  }

  /** Messages that were not deleted. */
  get size(): number {
    return this.#groups.values().reduce((sum, entries) => sum + entries.length, 0);
  }

  send(message: FifoMessage): void {
    const entries = this.#groups.get(message.groupId) ?? [];
    this.#groups.set(message.groupId, entries);
    entries.push({ message, receipt: 0, visibleAt: 0 });
  }

  /** Up to ten messages of free groups. @param now milliseconds */
  receive(now: number): FifoBatch {
    const taken: Entry[] = [];
    for (const entries of this.#random.shuffle([...this.#groups.values()])) {
      if (taken.length === 10) break;
      if (entries.some(({ visibleAt }) => visibleAt > now)) continue;
      taken.push(...entries.slice(0, Math.min(10 - taken.length, 1 + this.#random.integer(10))));
    }
    for (const entry of taken) {
      if (entry.receipt > 0) this.redelivered += 1;
      entry.receipt = ++this.#receipts;
      entry.visibleAt = now + this.#visibilityMs;
    }
    return {
      messages: taken.map(({ message }) => message),
      receipts: new Map(taken.map(({ message, receipt }) => [message.messageId, receipt])),
    };
  }

  /** Deletes what succeeded; the rest stays in flight until its time is up. */
  settle({ messages, receipts }: FifoBatch, failed: ReadonlySet<string>): void {
    for (const { messageId, groupId } of messages) {
      if (failed.has(messageId)) continue;
      const left = (this.#groups.get(groupId) ?? []).filter(
        ({ message, receipt }) => message.messageId !== messageId || receipt !== receipts.get(messageId),
      );
      if (left.length === 0) this.#groups.delete(groupId);
      else this.#groups.set(groupId, left);
    }
  }
}
