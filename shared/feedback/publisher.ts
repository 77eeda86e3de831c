import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { untilAborted } from '../abort.ts';
import { shown } from '../errors.ts';
import { coalesced, type PublishedInteraction } from './coalescing.ts';
import { ContentIdentity } from './content-identity.ts';
import { Delivery, type OutgoingMessage } from './delivery.ts';
import { encodeFeedbackEvent, type FeedbackEventInput, InvalidEventError } from './event.ts';
import type { FeedbackQueue } from './queue.ts';

export interface FeedbackPublisherOptions {
  readonly queue: FeedbackQueue;
  /**
   * The deployment's embedding length. With it, wrong lengths are found before anything is sent.
   */
  readonly embeddingDim?: number | undefined;
  /** Written into every event, so that a deployment with another model refuses it. */
  readonly embeddingModel?: string | undefined;
  /** Default: random UUIDs. */
  readonly newEventId?: () => string;
  readonly now?: () => Date;
  readonly sleep?: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  /** Uniform in [0, 1), for the jitter of retries. */
  readonly random?: () => number;
  /** Default 5. */
  readonly maxAttempts?: number;
  /** Most bytes of incomplete messages; default 16 MiB. */
  readonly bufferBytes?: number;
}

export interface PublishOptions {
  /** Called after every request with the progress so far. */
  readonly onProgress?: (progress: PublishProgress) => void;
  /**
   * Stops reading and sending. Interactions that were read and not accepted are reported with the
   * code `aborted`.
   */
  readonly signal?: AbortSignal;
  /**
   * Names the input, so that a repeated publish after a failure or a stop sends nothing twice:
   * event ids then follow from the content. For `publish` only.
   */
  readonly batchId?: string | undefined;
  /**
   * Content keys that {@link onPublished} received under this batch id. These interactions are
   * skipped.
   */
  readonly published?: ReadonlySet<bigint> | undefined;
  /** Called for every event that the queue accepted. */
  readonly onPublished?: (event: PublishedEvent) => void;
}

/** An event that the queue accepted. */
export interface PublishedEvent {
  readonly eventId: string;
  readonly userId: string;
  /** Number of its interactions. */
  readonly interactions: number;
  /**
   * Position of its first interaction in the input, from 0; the event's own position when the input
   * is events.
   */
  readonly position: number;
  /** Content keys of its interactions, under a batch id. */
  readonly keys?: readonly bigint[];
}

export interface PublishProgress {
  /** Interactions that the queue accepted. */
  readonly interactions: number;
  /** Events, each one message, that the queue accepted. */
  readonly events: number;
  /** Interactions that could not be sent. */
  readonly failed: number;
}

/** Interactions that the queue did not accept, or whose acceptance is unknown. */
export interface PublishFailure {
  /** Absent for an interaction that was refused before it was part of an event. */
  readonly eventId?: string;
  readonly userId: string;
  /** Number of affected interactions. */
  readonly interactions: number;
  /**
   * Position of the first of them in the input, from 0; the event's own position when the input is
   * events.
   */
  readonly position: number;
  /**
   * The reason of an InvalidEventError, SQS's error code, an AttuneError's code when whole requests
   * failed, `blocked` behind an earlier failure of the same user, or `aborted`.
   */
  readonly code: string;
  readonly message: string;
}

export interface PublishReport {
  /** Interactions that the queue accepted. */
  readonly interactions: number;
  /** Events, each one message, that the queue accepted. */
  readonly events: number;
  /** Interactions skipped because they were published earlier under the same batch id. */
  readonly duplicates: number;
  readonly failed: readonly PublishFailure[];
}

/**
 * Publishes feedback to the queue, each user's in order.
 *
 * Publishing ends when the input ends, so the input must be finite: messages wait for more
 * interactions of their user until they are full.
 */
export class FeedbackPublisher {
  readonly #options: FeedbackPublisherOptions;

  constructor(options: FeedbackPublisherOptions) {
    this.#options = options;
  }

  /**
   * Publishes interactions in as few messages as the limits allow. Reports invalid ones and
   * continues with the others.
   * @throws only errors of iterating `interactions`
   */
  publish(
    interactions: Iterable<PublishedInteraction> | AsyncIterable<PublishedInteraction>,
    options: PublishOptions = {},
  ): Promise<PublishReport> {
    const { embeddingDim, embeddingModel, newEventId = randomUUID, now = () => new Date() } = this.#options;
    const { bufferBytes = 16 * 1024 * 1024 } = this.#options;
    const { batchId, published } = options;
    return this.#deliver(options, (fail, onDuplicates) =>
      coalesced(interactions, {
        embeddingDim,
        embeddingModel,
        newEventId,
        identity: batchId === undefined ? undefined : new ContentIdentity(batchId, published),
        onDuplicates,
        now,
        bufferBytes,
        signal: options.signal,
        refuse: (interaction, position, error) =>
          fail({ userId: nameOf(interaction?.userId), interactions: 1, position, ...refusalOf(error) }),
      }),
    );
  }

  /**
   * Publishes complete events with their own ids. A repeated event has no effect, within SQS's
   * deduplication interval or after it.
   * @throws only errors of iterating `events`
   */
  publishEvents(
    events: Iterable<FeedbackEventInput> | AsyncIterable<FeedbackEventInput>,
    options: PublishOptions = {},
  ): Promise<PublishReport> {
    const { embeddingDim } = this.#options;
    return this.#deliver(options, (fail) => encoded(events, embeddingDim, options.signal, fail));
  }

  async #deliver(
    { onProgress, onPublished, signal }: PublishOptions,
    messagesOf: (
      fail: (failure: PublishFailure) => void,
      onDuplicates: (interactions: number) => void,
    ) => AsyncIterable<OutgoingMessage>,
  ): Promise<PublishReport> {
    const { maxAttempts = 5, random = Math.random, sleep = sleepFor } = this.#options;
    const failed: PublishFailure[] = [];
    let interactions = 0;
    let events = 0;
    let lost = 0;
    let duplicates = 0;
    const fail = (failure: PublishFailure) => {
      failed.push(failure);
      lost += failure.interactions;
    };
    const delivery = new Delivery(this.#options.queue, {
      maxAttempts,
      random,
      sleep,
      signal,
      onAccepted: ({ body: _, ...event }) => {
        interactions += event.interactions;
        events++;
        onPublished?.(event);
      },
      onFailed: ({ body: _, keys: __, ...message }, code, reason) =>
        fail({ ...message, code, message: reason }),
      onRequest: () => onProgress?.({ interactions, events, failed: lost }),
    });
    await delivery.run(
      messagesOf(fail, (count) => {
        duplicates += count;
      }),
    );
    return { interactions, events, duplicates, failed };
  }
}

async function* encoded(
  events: Iterable<FeedbackEventInput> | AsyncIterable<FeedbackEventInput>,
  embeddingDim: number | undefined,
  signal: AbortSignal | undefined,
  fail: (failure: PublishFailure) => void,
): AsyncGenerator<OutgoingMessage> {
  let position = -1;
  for await (const event of untilAborted(events, signal)) {
    position++;
    let body: string;
    try {
      body = encodeFeedbackEvent(event, embeddingDim);
    } catch (error) {
      fail({ ...namesOf(event), position, ...refusalOf(error) });
      continue;
    }
    const { eventId, userId, interactions } = event;
    yield { eventId, userId, interactions: interactions.length, position, body };
  }
}

/** The readable names of a refused event of any shape. */
function namesOf(event: Partial<FeedbackEventInput> | null | undefined) {
  const { eventId, userId, interactions } = event ?? {};
  return {
    ...(typeof eventId === 'string' ? { eventId } : {}),
    userId: nameOf(userId),
    interactions: Array.isArray(interactions) ? interactions.length : 0,
  };
}

/** @throws every error that is not a refusal of the input */
function refusalOf(error: unknown): { code: string; message: string } {
  if (!(error instanceof InvalidEventError)) throw error;
  return { code: error.reason, message: error.message };
}

function nameOf(userId: unknown): string {
  return typeof userId === 'string' ? userId : shown(userId);
}

async function sleepFor(milliseconds: number, signal?: AbortSignal): Promise<void> {
  await delay(milliseconds, undefined, signal === undefined ? {} : { signal });
}
