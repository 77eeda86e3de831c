import { orAborted } from '../abort.ts';
import { InvalidConfigurationError, UnavailableError } from '../errors.ts';
import type { PublishedInteraction } from '../feedback/coalescing.ts';
import { encodeInteraction } from '../feedback/event.ts';
import {
  FeedbackPublisher,
  type FeedbackPublisherOptions,
  type PublishedEvent,
  type PublishFailure,
} from '../feedback/publisher.ts';
import { checkedId } from '../validation/id.ts';
import type { Clock } from './deadline.ts';

/** Interactions that could not be sent. */
export interface UnsentFeedback {
  /** In the order of publishing. */
  readonly interactions: readonly PublishedInteraction[];
  /** As in {@link PublishFailure}. */
  readonly code: string;
  readonly message: string;
}

export interface BufferOptions {
  /** Most milliseconds that an interaction waits for others of its user; default 200. */
  readonly maxWaitMs?: number | undefined;
  /** Number of interactions that are sent without further waiting; default 500. */
  readonly flushAt?: number | undefined;
  /** Most bytes of unsent interactions before `publish` refuses more; default 16 MiB. */
  readonly maxBufferedBytes?: number | undefined;
  /**
   * Called with all interactions that could not be sent. With it, you can ignore the promise of
   * `publish`.
   */
  readonly onError?: ((unsent: UnsentFeedback) => void) | undefined;
}

/** Rejects `publish` for an interaction that could not be sent. */
export class UnsentFeedbackError extends UnavailableError {
  readonly unsent: UnsentFeedback;

  constructor(unsent: UnsentFeedback) {
    super(`${unsent.code}: ${unsent.message}`);
    this.unsent = unsent;
  }
}

/** Confirmation of the queue. */
export interface Published {
  /** The event that carries the interaction; others of the user may share it. */
  readonly eventId: string;
}

interface Held {
  readonly interaction: PublishedInteraction;
  readonly bytes: number;
  readonly accepted: (published: Published) => void;
  readonly failed: (error: unknown) => void;
}

/**
 * Collects interactions and sends them through a {@link FeedbackPublisher}, which packs those of a
 * user into few messages. One send runs at a time, so that no interaction of a user overtakes
 * another.
 */
export class FeedbackBuffer {
  readonly #publisher: FeedbackPublisher;
  readonly #embeddingDim: number | undefined;
  readonly #clock: Clock;
  readonly #options: BufferOptions;
  readonly #stop = new AbortController();
  #held: Held[] = [];
  #bytes = 0;
  #cancelTimer: (() => void) | undefined;
  #sending: Promise<void> | undefined;
  #closed = false;
  readonly #unsent: UnsentFeedback[] = [];
  #waiting: (() => void)[] = [];

  constructor(publisher: FeedbackPublisherOptions, clock: Clock, options: BufferOptions = {}) {
    this.#publisher = new FeedbackPublisher(publisher);
    this.#embeddingDim = publisher.embeddingDim;
    this.#clock = clock;
    this.#options = options;
  }

  /** Bytes of interactions that the queue has not accepted yet. */
  get bufferedBytes(): number {
    return this.#bytes;
  }

  /**
   * Adds an interaction to the buffer; later changes to the object have no effect.
   * @returns the event that contains it, after the queue has accepted it
   * @throws InvalidInputError, UnavailableError when the buffer is full, UnsentFeedbackError when
   * the queue did not accept it
   */
  publish(interaction: PublishedInteraction): Promise<Published> {
    const published = this.#take(interaction);
    if (this.#options.onError !== undefined) published.catch(() => {});
    return published;
  }

  async #take({ userId, occurredAt, eventId, ...input }: PublishedInteraction): Promise<Published> {
    if (this.#closed) throw new InvalidConfigurationError('found a closed client, expected an open one');
    checkedId(userId, 'userId');
    if (eventId !== undefined) checkedId(eventId, 'eventId');
    const encoded = encodeInteraction(input, this.#embeddingDim, '');
    const bytes = Buffer.byteLength(encoded) + Buffer.byteLength(userId);
    const { maxBufferedBytes = 16 * 1024 * 1024, flushAt = 500, maxWaitMs = 200 } = this.#options;
    if (this.#bytes > 0 && this.#bytes + bytes > maxBufferedBytes) {
      throw new UnavailableError(
        `found a full buffer (${this.#bytes} bytes), expected room: await ready() before publishing more`,
      );
    }
    const interaction = {
      ...JSON.parse(encoded),
      userId,
      ...(eventId === undefined ? {} : { eventId }),
      occurredAt: occurredAt ?? new Date(this.#clock.now()).toISOString(),
    };
    this.#bytes += bytes;
    const settled = new Promise<Published>((accepted, failed) => {
      this.#held.push({ interaction, bytes, accepted, failed });
    });
    if (this.#held.length >= flushAt) void this.#send();
    else this.#cancelTimer ??= this.#clock.after(maxWaitMs, () => void this.#send());
    return settled;
  }

  /**
   * Resolves when the buffer is at most half full, or closed.
   * @throws the signal's reason
   */
  async ready(signal?: AbortSignal): Promise<void> {
    while (this.#isCrowded()) {
      await orAborted(new Promise<void>((resolve) => this.#waiting.push(resolve)), signal);
    }
  }

  #isCrowded(): boolean {
    const { maxBufferedBytes = 16 * 1024 * 1024 } = this.#options;
    if (this.#bytes <= maxBufferedBytes / 2) return false;
    void this.#send();
    return true;
  }

  /**
   * Sends everything in the buffer. Resolves when the queue accepted or refused it.
   * @throws the signal's reason
   */
  async flush(signal?: AbortSignal): Promise<void> {
    while (this.#held.length > 0 || this.#sending !== undefined) await orAborted(this.#send(), signal);
  }

  /**
   * Sends everything in the buffer and closes it.
   * @param signal stops waiting; everything unaccepted is returned
   * @returns what could not be sent since closing began; empty when everything was accepted
   */
  async close(signal?: AbortSignal): Promise<readonly UnsentFeedback[]> {
    if (!this.#closed) {
      this.#closed = true;
      this.#unsent.length = 0;
    }
    const stop = () => this.#stop.abort();
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    await this.flush();
    signal?.removeEventListener('abort', stop);
    return [...this.#unsent];
  }

  #send(): Promise<void> {
    this.#sending ??= this.#sendHeld().finally(() => {
      this.#sending = undefined;
    });
    return this.#sending;
  }

  async #sendHeld(): Promise<void> {
    while (this.#held.length > 0) {
      this.#cancelTimer?.();
      this.#cancelTimer = undefined;
      const sent = this.#held;
      this.#held = [];
      await this.#deliver(sent);
    }
  }

  async #deliver(sent: readonly Held[]): Promise<void> {
    const interactions = sent.map(({ interaction }) => interaction);
    const told: Told[] = [];
    try {
      const report = await this.#publisher.publish(interactions, {
        signal: this.#stop.signal,
        onPublished: (event) => told.push(event),
      });
      told.push(...report.failed);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      told.push(...sent.map((_, position) => failureAt(position, interactions, 'unavailable', message)));
    }
    const outcomes = outcomesOf(interactions, told);
    for (const { bytes } of sent) this.#bytes -= bytes;
    const failed = new Map<number, PublishFailure>();
    for (const [position, outcome] of outcomes.entries()) {
      if ('code' in outcome) failed.set(position, outcome);
      else sent[position]!.accepted({ eventId: outcome.eventId });
    }
    this.#report(sent, failed);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resume of waiting) resume();
  }

  #report(sent: readonly Held[], failed: ReadonlyMap<number, PublishFailure>): void {
    const byReason = Map.groupBy(failed.keys(), (position) => {
      const { eventId, code, message } = failed.get(position)!;
      return JSON.stringify([eventId, code, message]);
    });
    for (const positions of byReason.values()) {
      const { code, message } = failed.get(positions[0]!)!;
      const unsent = { interactions: positions.map((i) => sent[i]!.interaction), code, message };
      if (this.#closed) this.#unsent.push(unsent);
      for (const position of positions) sent[position]!.failed(new UnsentFeedbackError(unsent));
      // Runs in a task of its own, because an error of the application's callback must not stop
      // sending.
      if (this.#options.onError !== undefined) queueMicrotask(() => this.#options.onError?.(unsent));
    }
  }
}

type Told = PublishFailure | PublishedEvent;

/**
 * The result of each interaction, by position. A stopped publisher does not report what it did not
 * read.
 */
function outcomesOf(interactions: readonly PublishedInteraction[], told: readonly Told[]): Told[] {
  const outcomes: (Told | undefined)[] = interactions.map(() => undefined);
  const refused = told.filter(({ eventId }) => eventId === undefined);
  for (const failure of refused) outcomes[failure.position] = failure;
  for (const event of told) {
    if (event.eventId === undefined) continue;
    // An event holds the user's next interactions from its position on, without the refused ones.
    let left = event.interactions;
    for (let i = event.position; left > 0 && i < interactions.length; i++) {
      if (interactions[i]!.userId !== event.userId || outcomes[i] !== undefined) continue;
      outcomes[i] = event;
      left--;
    }
  }
  return outcomes.map(
    (outcome, i) => outcome ?? failureAt(i, interactions, 'aborted', 'publishing was stopped'),
  );
}

function failureAt(
  position: number,
  interactions: readonly PublishedInteraction[],
  code: string,
  message: string,
): PublishFailure {
  return { userId: interactions[position]!.userId, interactions: 1, position, code, message };
}
