import * as z from 'zod';
import type { EmbeddingInput } from './embedding-codec.ts';

/** Limits of a feedback event. Characters are Unicode code points. */
export const LIMITS = {
  /** Lengths of its item that a target may have: longer ones would bend what all users share. */
  targetLength: 4,
  messageBytes: 256 * 1024,
  interactions: 100,
  idCharacters: 128,
} as const;

// The texts say what is expected; an error message puts what was found before them.

/**
 * An id: any Unicode but control characters, and no lone surrogates, for those have no UTF-8 form and would make
 * different ids hash alike.
 */
const id = z
  .string('a string')
  .regex(/^[^\p{Cc}\p{Cs}]*$/u, 'a string without control characters and lone surrogates')
  .refine((text) => text !== '' && Array.from(text).length <= LIMITS.idCharacters, {
    error: `1 to ${LIMITS.idCharacters} characters`,
    params: { reason: 'limit' },
  });

const numberUpTo = (maximum: number) => {
  const expected = `a number in [0, ${maximum}]`;
  // Adding 0 makes 0 of -0.
  return z
    .number(expected)
    .min(0, expected)
    .max(maximum, expected)
    .transform((value) => value + 0);
};

/** Only the form: length and finiteness depend on the deployment and are checked when the embedding is decoded. */
const EMBEDDING = 'base64 of little-endian float32, or an array of numbers';
const embedding = z.custom<EmbeddingInput>(
  (value) => typeof value === 'string' || Array.isArray(value) || value instanceof Float32Array,
  EMBEDDING,
);

const watch = z.strictObject(
  {
    /** Share of the item that was watched. */
    completionRate: numberUpTo(1),
    /** Stars given. */
    rating: numberUpTo(5).optional(),
    isRewatch: z.boolean('true or false').optional(),
  },
  'an object with completionRate',
);

const FEEDBACK_KINDS = ['reward', 'watch', 'target'] as const;

export const interactionSchema = z
  .strictObject(
    {
      itemId: id.optional(),
      /** May be missing where the catalogue knows the item. */
      embedding: embedding.optional(),
      reward: numberUpTo(1).optional(),
      watch: watch.optional(),
      target: embedding.optional(),
    },
    'an object with embedding and one of reward, watch, target',
  )
  .refine(({ embedding, itemId }) => embedding !== undefined || itemId !== undefined, {
    error: EMBEDDING,
    path: ['embedding'],
  })
  .refine((value) => FEEDBACK_KINDS.filter((kind) => value[kind] !== undefined).length === 1, {
    error: 'exactly one of reward, watch, target',
  });

const header = {
  eventId: id,
  userId: id,
  occurredAt: z.iso.datetime({
    offset: true,
    error: 'an ISO 8601 date and time with offset, such as 2026-01-31T12:00:00Z',
  }),
  /** The model that made the embeddings. */
  embeddingModel: id.optional(),
};

/** Everything of an event but its interactions. */
export const headerSchema = z.object(header, 'an object');

export const eventSchema = z.strictObject(
  {
    schemaVersion: z.literal(1, 'schema version 1'),
    ...header,
    interactions: z
      .array(interactionSchema, `an array of 1 to ${LIMITS.interactions} interactions`)
      // Not min and max: those look at the length of whatever has one, be it an array or not.
      .refine(({ length }) => length >= 1 && length <= LIMITS.interactions, {
        error: `1 to ${LIMITS.interactions} interactions`,
        params: { reason: 'limit' },
      }),
  },
  'an object',
);

/** Whether the text may stand as a user id. */
export const isId = (value: unknown): value is string => id.safeParse(value).success;

export type WatchSignals = z.output<typeof watch>;
export type CheckedInteraction = z.output<typeof interactionSchema>;
