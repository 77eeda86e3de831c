import { randomUUID } from 'node:crypto';
import * as z from 'zod';
import type { ValueCap } from '../catalogue/diversity.ts';
import { FILTER_REFERENCE, type Filter, parseFilter } from '../catalogue/filter.ts';
import { InvalidInputError, shown } from '../errors.ts';
import { decodeEmbedding } from '../feedback/embedding-codec.ts';
import { INTERACTION_KINDS, type InteractionKind } from '../interaction-kinds.ts';
import { vectorNorm } from '../lora/basis.ts';
import { parseInput } from '../validation/faults.ts';
import { idSchema as id } from '../validation/id.ts';
import { lengthFirst } from '../validation/length-first.ts';
import { embedding, embeddingModel } from './personalize-request.ts';

/** Fields that all catalogue requests share. */
export interface Choosing {
  readonly limit: number;
  readonly filter?: Filter | undefined;
  /** Item ids to leave out. */
  readonly exclude: readonly string[];
  /** Whether to exclude the items that the user has interacted with. */
  readonly excludeInteracted: boolean;
  /** Leave out only items with an interaction in the last so many days. */
  readonly interactedWithinDays?: number | undefined;
  /** Leave out only items with an interaction of one of these kinds. */
  readonly interactedBy?: readonly InteractionKind[] | undefined;
  /** From 0 (by score alone) to 1. */
  readonly diversity: number;
  readonly cap?: ValueCap | undefined;
  readonly explain: boolean;
}

/** The best items of the catalogue for a user. */
export interface RecommendRequest extends Choosing {
  readonly action: 'recommend';
  readonly userId: string;
  /** Whether scores use a draw of the user's coefficients instead of their mean. */
  readonly explore: boolean;
  /** Names the answer and its draw: the same id repeats the draw. */
  readonly requestId: string;
}

/** Items similar to an item, for everybody or for a user. */
export interface SimilarRequest extends Choosing {
  readonly action: 'similar';
  readonly itemId: string;
  readonly userId?: string | undefined;
}

/** Items by their similarity to a query and the user's taste. */
export interface SearchRequest extends Choosing {
  readonly action: 'search';
  readonly userId: string;
  /** Of unit length. */
  readonly query: Float32Array;
  /** Whether the answer holds the vector for searching any other store. */
  readonly queryVector: boolean;
}

export const RECOMMEND_LIMITS = { items: 500, exclude: 1_000 } as const;

const range = (minimum: number, maximum: number) => `a number from ${minimum} to ${maximum}`;
const whole = (maximum: number) => {
  const error = `a whole number from 1 to ${maximum}`;
  return z.int({ error }).min(1, { error }).max(maximum, { error });
};
const flag = z.boolean({ error: 'true or false' });
const DAYS = 'a number of days above 0';
const KINDS = `an array of ${INTERACTION_KINDS.join(', ')}`;
const choosing = {
  limit: whole(RECOMMEND_LIMITS.items).default(20).describe('Number of items.'),
  filter: z
    .unknown()
    .optional()
    .meta({ ...FILTER_REFERENCE, description: 'Items to consider; default: all.' }),
  exclude: lengthFirst(
    z
      .array(id, { error: 'an array of item ids' })
      .default([])
      .meta({ maxItems: RECOMMEND_LIMITS.exclude, description: 'Ids of items to leave out.' }),
    { max: RECOMMEND_LIMITS.exclude, error: `at most ${RECOMMEND_LIMITS.exclude}` },
  ),
  excludeInteracted: flag
    .default(true)
    .describe('Whether to leave out the last 1,024 items that the user has interacted with.'),
  interactedWithinDays: z
    .number({ error: DAYS })
    .positive({ error: DAYS })
    .optional()
    .describe('Leave out only interactions of the last so many days.'),
  interactedBy: lengthFirst(
    z
      .array(z.enum(INTERACTION_KINDS, { error: KINDS }), { error: KINDS })
      .min(1, { error: KINDS })
      .max(INTERACTION_KINDS.length, { error: KINDS })
      .optional()
      .describe('Leave out only interactions of one of these kinds.'),
    { max: INTERACTION_KINDS.length, error: KINDS },
  ),
  diversity: z
    .number({ error: range(0, 1) })
    .min(0, { error: range(0, 1) })
    .max(1, { error: range(0, 1) })
    .default(0)
    .describe('0: by score alone. 1: as different from each other as possible.'),
  maxPerValue: z
    .strictObject(
      {
        attribute: z
          .string({ error: 'the name of an attribute' })
          .min(1, { error: 'the name of an attribute' })
          .describe('Name of the attribute.'),
        count: whole(RECOMMEND_LIMITS.items).describe('Most items with the same value.'),
      },
      { error: 'an object with attribute and count' },
    )
    .optional()
    .describe('Limits how many items of the answer share a value of an attribute.'),
  explain: flag.default(false).describe('Whether scores come with their parts.'),
  embeddingModel,
};

export const recommendRequest = z
  .strictObject({
    action: z.literal('recommend'),
    userId: id.describe('The user; one without history gets the items that everybody likes.'),
    explore: flag
      .default(false)
      .describe("Draw the user's coefficients from their posterior instead of using its mean."),
    requestId: id
      .optional()
      .describe(
        'Names the answer; default: a new id. The same id repeats a draw as long as the adapter is the same.',
      ),
    ...choosing,
  })
  .meta({ id: 'RecommendRequest', description: 'The best items of the catalogue for a user.' });
export const searchRequest = z
  .strictObject({
    action: z.literal('search'),
    userId: id.describe('The user whose taste counts.'),
    query: embedding.describe('Embedding of the query; its length does not matter.'),
    queryVector: flag
      .default(false)
      .describe('Whether the answer has a vector for searching any other store.'),
    ...choosing,
  })
  .meta({ id: 'SearchRequest', description: 'Items by a query and taste together.' });
export const similarRequest = z
  .strictObject({
    action: z.literal('similar'),
    itemId: id.describe('Id of the catalogue item to compare with.'),
    userId: id.optional().describe("Orders the items by this user's taste."),
    ...choosing,
  })
  .meta({ id: 'SimilarRequest', description: 'Items similar to an item.' });
const schema = z.discriminatedUnion('action', [recommendRequest, searchRequest, similarRequest], {
  error: '"recommend", "similar" or "search"',
});

function unitQuery(given: string | number[], embeddingDim: number): Float32Array {
  const query = decodeEmbedding(given, embeddingDim, 'query');
  const norm = vectorNorm(query);
  if (norm === 0 || !Number.isFinite(norm))
    throw new InvalidInputError('query', 'a vector without a direction', 'a vector other than zero');
  return query.map((value) => value / norm);
}

/** Whether a payload is a catalogue request, rather than a request for scores of candidates. */
export function asksCatalogue(payload: unknown): boolean {
  return typeof payload === 'object' && payload !== null && Object.hasOwn(payload, 'action');
}

/** @throws InvalidInputError naming the first invalid field */
export function parseCatalogueRequest(
  payload: unknown,
  settings: { readonly embeddingModel: string; readonly embeddingDim: number },
): RecommendRequest | SimilarRequest | SearchRequest {
  const { embeddingModel, filter, maxPerValue, ...rest } = parseInput(schema, payload);
  const request =
    rest.action === 'recommend'
      ? { ...rest, requestId: rest.requestId ?? randomUUID() }
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
