import { untilAborted } from '../abort.ts';
import { shown } from '../errors.ts';
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
}

const INTERACTION = 'an object with userId, embedding and one of reward, watch, target';

export interface CoalescingOptions {
  readonly embeddingDim: number | undefined;
  readonly embeddingModel: string | undefined;
  readonly newEventId: () => string;
  readonly now: () => Date;
  /** Bytes of unfinished messages to hold before they are sent as they are. */
  readonly bufferBytes: number;
  readonly signal: AbortSignal | undefined;
  /** Called with what breaks the contract; the rest goes on. */
  readonly refuse: (
    interaction: PublishedInteraction | null | undefined,
    position: number,
    error: unknown,
  ) => void;
}

interface OpenMessage {
  readonly eventId: string;
  readonly position: number;
  readonly interactions: string[];
  bytes: number;
  header: EventHeader;
}

/**
 * Packs interactions into as few messages as the limits of an event allow, in order within each user. A message is
 * yielded when it is full, when too much is held, and at the end; it says the time of its last interaction.
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
    const { userId, occurredAt = options.now().toISOString(), ...interaction } = input;
    let message = open.get(userId);
    let encoded: string;
    let header: EventHeader;
    let headerBytes: number;
    try {
      encoded = encodeInteraction(interaction, options.embeddingDim, '');
      const eventId = message?.eventId ?? options.newEventId();
      header = { eventId, userId, occurredAt, embeddingModel: options.embeddingModel };
      headerBytes = Buffer.byteLength(assembleEvent(header, []));
    } catch (error) {
      options.refuse(input, position, error);
      continue;
    }
    const bytes = Buffer.byteLength(encoded) + 1;
    if (message !== undefined && !fits(message, headerBytes + bytes)) {
      yield closed(message);
      held -= message.bytes;
      header = { ...header, eventId: options.newEventId() };
      message = undefined;
    }
    message ??= { eventId: header.eventId, position, interactions: [], bytes: 0, header };
    message.interactions.push(encoded);
    message.bytes += bytes;
    message.header = header;
    open.set(userId, message);
    held += bytes;
    if (held > options.bufferBytes) {
      for (const each of open.values()) yield closed(each);
      open.clear();
      held = 0;
    }
  }
  for (const message of open.values()) yield closed(message);
}

function fits(message: OpenMessage, more: number): boolean {
  return message.interactions.length < LIMITS.interactions && message.bytes + more <= LIMITS.messageBytes;
}

function closed({ header, interactions, position }: OpenMessage): OutgoingMessage {
  return {
    eventId: header.eventId,
    userId: header.userId,
    interactions: interactions.length,
    position,
    body: assembleEvent(header, interactions),
  };
}
