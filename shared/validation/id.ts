import * as z from 'zod';
import { InvalidInputError, shown } from '../errors.ts';

/** Most Unicode code points of an id. */
export const ID_CHARACTERS = 128;
/** The expectation in error messages. */
export const ID_FORM = `1 to ${ID_CHARACTERS} characters without control characters or lone surrogates`;

/**
 * The one rule for ids of users, items, events, requests and embedding models. Lone surrogates have
 * no UTF-8 form, so that different ids with them would have the same hash.
 */
export const idSchema = z
  .string({ error: ID_FORM })
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, { error: ID_FORM })
  .refine((text) => text !== '' && Array.from(text).length <= ID_CHARACTERS, {
    error: ID_FORM,
    params: { reason: 'limit' },
  })
  .meta({ minLength: 1, maxLength: ID_CHARACTERS });

export function isId(value: unknown): value is string {
  return idSchema.safeParse(value).success;
}

/**
 * @param field path of the id, for the error
 * @throws InvalidInputError unless the value is an id
 */
export function checkedId(value: unknown, field: string): string {
  if (isId(value)) return value;
  throw new InvalidInputError(field, shown(value), ID_FORM);
}
