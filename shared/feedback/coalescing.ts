import { untilAborted } from '../abort.ts';
import { shown } from '../errors.ts';
import type { ContentIdentity } from './content-identity.ts';
import type { OutgoingMessage } from './delivery.ts';
import {
  assembleEvent,
  type EventHeader,
  encodeInteraction,
  type InteractionInput,
  InvalidEventError,
} from './event.ts';
import { LIMITS } from './event-schema.ts';

/** One interaction of any user, as an application publishes it. */
export interface PublishedInteraction extends InteractionInput {
  readonly userId: string;
  /** ISO 8601 with offset; the time of publishing when absent. */
  readonly occurredAt?: string | undefined;
  /**
   * Makes this interaction an event of its own, which takes effect once however often it is
   * published; 1 to 128 characters. Without an event id, interactions of a user share events with
   * random ids.
   */
  readonly eventId?: string | undefined;
}

const INTERACTION = 'an object with userId, embedding and one of reward, watch, target';

export interface CoalescingOptions {
  readonly embeddingDim: number | undefined;
  readonly embeddingModel: string | undefined;
  readonly newEventId: () => string;
  /** Replaces `newEventId` when the same input may be published again. */
  readonly identity: ContentIdentity | undefined;
  /**
   * Called with the number of interactions of a message that are skipped because they were
   * published earlier.
   */
  readonly onDuplicates: (interactions: number) => void;
  readonly now: () => Date;
  /** Most bytes of incomplete messages. When they exceed it, they are sent. */
  readonly bufferBytes: number;
  readonly signal: AbortSignal | undefined;
  /** Called with each invalid interaction; the others continue. */
  readonly refuse: (
    interaction: PublishedInteraction | null | undefined,
    position: number,
    error: unknown,
  ) => void;
}

interface OpenMessage {
  readonly position: number;
  readonly interactions: string[];
  /** Content keys of the interactions, in the same order; empty without an identity. */
  readonly keys: bigint[];
  bytes: number;
  header: EventHeader;
  /** The event id that the application gave. */
  readonly own?: string;
}

/**
 * Packs interactions into as few messages as the limits of an event allow, in order within each
 * user. Yields a message when it is full, when the buffer is full, and at the end. Its time is that
 * of its last interaction.
 */
export async function* coalesced(
  interactions: Iterable<PublishedInteraction> | AsyncIterable<PublishedInteraction>,
  options: CoalescingOptions,
): AsyncGenerator<OutgoingMessage> {
  const open = new Map<string, OpenMessage>();
  let held = 0;
  let position = -1;
  for await (const input of untilAborted(interactions, options.signal)) {
    position++;
    if (input === null || typeof input !== 'object') {
      options.refuse(input, position, new InvalidEventError('', shown(input), INTERACTION, 'schema'));
      continue;
    }
    const { userId, occurredAt = options.now().toISOString(), eventId: own, ...interaction } = input;
    let message = open.get(userId);
    let encoded: string;
    let header: EventHeader;
    let headerBytes: number;
    try {
      encoded = encodeInteraction(interaction, options.embeddingDim, '');
      const eventId = own ?? message?.header.eventId ?? newEventId(options);
      header = { eventId, userId, occurredAt, embeddingModel: options.embeddingModel };
      headerBytes = Buffer.byteLength(assembleEvent(header, []));
    } catch (error) {
      options.refuse(input, position, error);
      continue;
    }
    const bytes = Buffer.byteLength(encoded) + 1;
    if (message !== undefined && (own !== undefined || !fits(message, headerBytes + bytes))) {
      yield* closed(message, options);
      held -= message.bytes;
      open.delete(userId);
      header = { ...header, eventId: own ?? newEventId(options) };
      message = undefined;
    }
    message ??= { position, interactions: [], keys: [], bytes: 0, header };
    message.interactions.push(encoded);
    const key = options.identity?.keyOf([
      userId,
      input.occurredAt ?? '',
      options.embeddingModel ?? '',
      encoded,
    ]);
    if (key !== undefined) message.keys.push(key);
    message.bytes += bytes;
    message.header = header;
    if (own !== undefined) {
      yield* closed({ ...message, own }, options);
      continue;
    }
    open.set(userId, message);
    held += bytes;
    if (held > options.bufferBytes) {
      for (const each of open.values()) yield* closed(each, options);
      open.clear();
      held = 0;
    }
  }
  for (const message of open.values()) yield* closed(message, options);
}

function fits(message: OpenMessage, more: number): boolean {
  return message.interactions.length < LIMITS.interactions && message.bytes + more <= LIMITS.messageBytes;
}

/**
 * With an identity, an id of the final length. {@link closed} replaces it, because the id depends
 * on all interactions.
 */
function newEventId({ identity, newEventId }: CoalescingOptions): string {
  return identity?.eventIdOf([]) ?? newEventId();
}

/** The message of the interactions that were not published earlier; none when all were. */
function* closed(message: OpenMessage, options: CoalescingOptions): Generator<OutgoingMessage> {
  const { identity } = options;
  const isNew = (_: unknown, i: number) => identity === undefined || !identity.isPublished(message.keys[i]!);
  const interactions = message.interactions.filter(isNew);
  const keys = message.keys.filter(isNew);
  const duplicates = message.interactions.length - interactions.length;
  if (duplicates > 0) options.onDuplicates(duplicates);
  if (interactions.length === 0) return;
  const header =
    identity === undefined || message.own !== undefined
      ? message.header
      : { ...message.header, eventId: identity.eventIdOf(keys) };
  yield {
    eventId: header.eventId,
    userId: header.userId,
    interactions: interactions.length,
    position: message.position,
    keys,
    body: assembleEvent(header, interactions),
  };
}
