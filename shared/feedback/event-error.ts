import type * as z from 'zod';
import { InvalidInputError, shown } from '../errors.ts';
import { type Fault, firstFault } from '../validation/faults.ts';

const EVENT_FAULTS = [
  'not-json',
  'too-large',
  'schema',
  'limit',
  'dimension',
  'not-finite',
  'embedding-model',
  'unknown-item',
  'envelope',
] as const;

/**
 * Why an event was refused: `limit` is a value out of range, `schema` a wrong type, a missing or
 * unknown field, or malformed text; the other names explain themselves.
 */
export type EventFault = (typeof EVENT_FAULTS)[number];

export function isEventFault(code: string): code is EventFault {
  return (EVENT_FAULTS as readonly string[]).includes(code);
}

/** An invalid event. Permanent: it goes to quarantine. */
export class InvalidEventError extends InvalidInputError {
  readonly reason: EventFault;
  /** The user of the event, if readable. */
  readonly userId: string | undefined;

  constructor(field: string, found: string, expected: string, reason: EventFault, userId?: string) {
    super(field, found, expected);
    this.reason = reason;
    this.userId = userId;
  }
}

/**
 * An event with items but without their embeddings, when the catalogue does not have them or was
 * not asked yet.
 */
export class UnknownItemsError extends InvalidEventError {
  /** All of their ids, each once. */
  readonly itemIds: readonly string[];

  constructor(field: string, itemIds: readonly string[], userId: string | undefined) {
    super(
      field,
      shown(itemIds[0]),
      'an embedding, or the id of an item of the catalogue',
      'unknown-item',
      userId,
    );
    this.itemIds = itemIds;
  }
}

/**
 * Parses a value.
 * @param prefix path of the value itself, for the error; empty for a whole event
 * @param userId user of the event, for the error
 * @throws InvalidEventError for the first fault
 */
export function checked<T>(
  schema: z.ZodType<T>,
  raw: unknown,
  prefix: string,
  userId: string | undefined,
): T {
  const result = schema.safeParse(raw);
  if (result.success) return result.data;
  const fault = firstFault(result.error, raw, prefix);
  throw new InvalidEventError(fault.field, fault.found, fault.expected, reasonOf(fault), userId);
}

function reasonOf({ issue, value }: Fault): EventFault {
  if (typeof value === 'number' && !Number.isFinite(value)) return 'not-finite';
  if (issue.code === 'too_big' || issue.code === 'too_small') return 'limit';
  return issue.code === 'custom' && issue.params?.reason === 'limit' ? 'limit' : 'schema';
}
