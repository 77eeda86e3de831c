import * as z from 'zod';
import { INTERACTION_KINDS } from '../interaction-kinds.ts';
import { ID_CHARACTERS, idSchema as id } from '../validation/id.ts';
import { lengthFirst } from '../validation/length-first.ts';
import type { EmbeddingInput } from './embedding-codec.ts';

/** Limits of a feedback event. Characters are Unicode code points. */
export const LIMITS = {
  /**
   * Most times its item's length that a target may have. Longer targets would distort what all
   * users share.
   */
  targetLength: 4,
  messageBytes: 256 * 1024,
  interactions: 100,
  idCharacters: ID_CHARACTERS,
} as const;

// Each text says what is expected. An error message puts what was found before it.

const numberUpTo = (maximum: number) => {
  const expected = `a number in [0, ${maximum}]`;
  // Adding 0 turns −0 into 0.
  return z
    .number(expected)
    .min(0, expected)
    .max(maximum, expected)
    .transform((value) => value + 0);
};

/** JSON Schema of an embedding. */
export const EMBEDDING_FORM = {
  anyOf: [
    { type: 'string', contentEncoding: 'base64' },
    { type: 'array', items: { type: 'number' } },
  ],
} as const;

/**
 * Checks the form only. Length and finiteness depend on the deployment and are checked when the
 * embedding is decoded.
 */
const EMBEDDING = 'base64 of little-endian float32, or an array of numbers';
const embedding = z
  .custom<EmbeddingInput>(
    (value) => typeof value === 'string' || Array.isArray(value) || value instanceof Float32Array,
    EMBEDDING,
  )
  .meta(EMBEDDING_FORM);

const watch = z.strictObject(
  {
    completionRate: numberUpTo(1).describe('Share of the item that was watched.'),
    rating: numberUpTo(5).optional().describe('Stars given.'),
    isRewatch: z.boolean('true or false').optional().describe('Whether it was watched before.'),
  },
  'an object with completionRate',
);

export const interactionSchema = z
  .strictObject(
    {
      itemId: id.optional().describe('Id of the item; needed for item effects.'),
      embedding: embedding
        .optional()
        .describe(
          "base64 of little-endian float32, or an array of numbers, of the deployment's length. May be missing if " +
            'the catalogue knows the item.',
        ),
      reward: numberUpTo(1).optional().describe('From 0, disliked, to 1, loved.'),
      watch: watch
        .optional()
        .describe('Counts as the reward min(1, 0.5·completionRate + 0.3·rating/5 + 0.2·isRewatch).'),
      target: embedding
        .optional()
        .describe(
          `The target of the item's embedding for this user, at most ${LIMITS.targetLength} times as long.`,
        ),
      recommendationId: id.optional().describe('The answer that showed the item to the user.'),
      interactionId: id
        .optional()
        .describe('A later event with the same id and item replaces this reward. Not with target.'),
    },
    'an object with embedding and one of reward, watch, target',
  )
  .refine(({ embedding, itemId }) => embedding !== undefined || itemId !== undefined, {
    error: EMBEDDING,
    path: ['embedding'],
  })
  .refine((value) => INTERACTION_KINDS.filter((kind) => value[kind] !== undefined).length === 1, {
    error: 'exactly one of reward, watch, target',
  })
  .refine(({ target, interactionId }) => target === undefined || interactionId === undefined, {
    error: 'none with a target',
    path: ['interactionId'],
  })
  .meta({
    description: 'One item shown to the user, with a reward, watch signals or a target.',
    oneOf: INTERACTION_KINDS.map((kind) => ({ required: [kind] })),
    anyOf: [{ required: ['embedding'] }, { required: ['itemId'] }],
  });

const header = {
  eventId: id.describe('An event takes effect once, no matter how often you send it.'),
  userId: id.describe('Id of the user who gave the feedback.'),
  occurredAt: z.iso
    .datetime({
      offset: true,
      error: 'an ISO 8601 date and time with offset, such as 2026-01-31T12:00:00Z',
    })
    .describe('ISO 8601 with offset.'),
  embeddingModel: id
    .optional()
    .describe('The model that made the embeddings. A deployment with another model refuses the event.'),
};

/** All fields of an event except its interactions. */
export const headerSchema = z.object(header, 'an object');

export const eventSchema = z.strictObject(
  {
    schemaVersion: z.literal(1, 'schema version 1').describe('Version of this schema.'),
    ...header,
    interactions: lengthFirst(
      z.array(interactionSchema, `an array of 1 to ${LIMITS.interactions} interactions`).meta({
        minItems: 1,
        maxItems: LIMITS.interactions,
        description: "The user's interactions, in order.",
      }),
      {
        min: 1,
        max: LIMITS.interactions,
        error: `1 to ${LIMITS.interactions} interactions`,
        params: { reason: 'limit' },
      },
    ),
  },
  'an object',
);

export type WatchSignals = z.output<typeof watch>;
export type CheckedInteraction = z.output<typeof interactionSchema>;
