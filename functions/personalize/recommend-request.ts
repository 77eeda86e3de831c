import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import type { ValueCap } from '../../shared/catalogue/diversity.ts';
import { type Filter, parseFilter } from '../../shared/catalogue/filter.ts';
import { InvalidInputError, shown } from '../../shared/errors.ts';
import { decodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { vectorNorm } from '../../shared/lora/basis.ts';
import { embedding, explained, id } from './request.ts';

/** What `recommend` and `similar` have in common: which items, and how many. */
export interface Choosing {
  readonly limit: number;
  readonly filter?: Filter | undefined;
  /** Item ids that are left out. */
  readonly exclude: readonly string[];
  /** Whether the items that the user has interacted with last are left out. */
  readonly excludeInteracted: boolean;
  /** From 0 (by score alone) to 1. */
  readonly diversity: number;
  readonly cap?: ValueCap | undefined;
  readonly explain: boolean;
}

/** The best items of the catalogue for a user. */
export interface RecommendRequest extends Choosing {
  readonly action: 'recommend';
  readonly userId: string;
  /** Names the draw of the user's coefficients that the answer rests on; without one, it rests on their mean. */
  readonly explore?: string | undefined;
}

/** Items like an item, for everybody or for a user. */
export interface SimilarRequest extends Choosing {
  readonly action: 'similar';
  readonly itemId: string;
  readonly userId?: string | undefined;
}

/** Items by their similarity to a query, as the user's taste moves them. */
export interface SearchRequest extends Choosing {
  readonly action: 'search';
  readonly userId: string;
  /** Of unit length. */
  readonly query: Float32Array;
  /** Whether the answer holds the vector to search any other store with. */
  readonly queryVector: boolean;
}

export const RECOMMEND_LIMITS = { items: 500, exclude: 1_000 } as const;

const range = (minimum: number, maximum: number) => `a number from ${minimum} to ${maximum}`;
const whole = (maximum: number) => {
  const error = `a whole number from 1 to ${maximum}`;
  return z.int({ error }).min(1, { error }).max(maximum, { error });
};
const flag = z.boolean({ error: 'true or false' });
const choosing = {
  limit: whole(RECOMMEND_LIMITS.items).default(20),
  filter: z.unknown().optional(),
  exclude: z.array(id, { error: 'an array of item ids' }).default([]),
  excludeInteracted: flag.default(true),
  diversity: z
    .number({ error: range(0, 1) })
    .min(0, { error: range(0, 1) })
    .max(1, { error: range(0, 1) })
    .default(0),
  maxPerValue: z
    .strictObject(
      {
        attribute: z
          .string({ error: 'the name of an attribute' })
          .min(1, { error: 'the name of an attribute' }),
        count: whole(RECOMMEND_LIMITS.items),
      },
      { error: 'an object with attribute and count' },
    )
    .optional(),
  explain: flag.default(false),
  embeddingModel: z.string({ error: 'a string' }).optional(),
};
const schema = z.discriminatedUnion(
  'action',
  [
    z.strictObject({
      action: z.literal('recommend'),
      userId: id,
      explore: flag.default(false),
      requestId: id.optional(),
      ...choosing,
    }),
    z.strictObject({
      action: z.literal('search'),
      userId: id,
      query: embedding,
      queryVector: flag.default(false),
      ...choosing,
    }),
    z.strictObject({ action: z.literal('similar'), itemId: id, userId: id.optional(), ...choosing }),
  ],
  { error: '"recommend", "similar" or "search"' },
);

/** A request that explores has an id, by which its draw can be repeated. */
function exploring<T extends { explore: boolean; requestId?: string | undefined }>(request: T) {
  const { explore, requestId, ...rest } = request;
  return explore ? { ...rest, explore: requestId ?? randomUUID() } : rest;
}

function unitQuery(given: string | number[], embeddingDim: number): Float32Array {
  const query = decodeEmbedding(given, embeddingDim, 'query');
  const norm = vectorNorm(query);
  if (norm === 0 || !Number.isFinite(norm))
    throw new InvalidInputError('query', 'a vector without a direction', 'a vector other than zero');
  return query.map((value) => value / norm);
}

/** Whether a payload asks for items of the catalogue, rather than for scores of candidates. */
export function asksCatalogue(payload: unknown): boolean {
  return typeof payload === 'object' && payload !== null && Object.hasOwn(payload, 'action');
}

/** @throws InvalidInputError naming the first field that is wrong */
export function parseCatalogueRequest(
  payload: unknown,
  settings: { readonly embeddingModel: string; readonly embeddingDim: number },
): RecommendRequest | SimilarRequest | SearchRequest {
  // Zod would look at every element of an array before its length.
  const given: unknown = Object(payload).exclude;
  if (Array.isArray(given) && given.length > RECOMMEND_LIMITS.exclude)
    throw new InvalidInputError('exclude', `${given.length} items`, `at most ${RECOMMEND_LIMITS.exclude}`);
  const parsed = schema.safeParse(payload);
  if (!parsed.success) throw explained(parsed.error.issues[0]!, payload);
  const { embeddingModel, filter, maxPerValue, ...rest } = parsed.data;
  const request =
    rest.action === 'recommend'
      ? exploring(rest)
      : rest.action === 'search'
        ? { ...rest, query: unitQuery(rest.query, settings.embeddingDim) }
        : rest;
  if (embeddingModel !== undefined && embeddingModel !== settings.embeddingModel)
    throw new InvalidInputError('embeddingModel', shown(embeddingModel), shown(settings.embeddingModel));
  return {
    ...request,
    ...(filter === undefined ? {} : { filter: parseFilter(filter) }),
    ...(maxPerValue === undefined ? {} : { cap: maxPerValue }),
  };
}
