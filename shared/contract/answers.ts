import * as z from 'zod';

/**
 * Answers of the read function. The function writes them, clients read them. Unknown fields belong
 * to a later version.
 */

const source = z.enum(['adapter', 'warm-start', 'base', 'holdout']).meta({
  id: 'Source',
  description:
    "What the answer is based on: `adapter`, the user's own adapter; `warm-start`, what other users taught, when the user " +
    'has no adapter or it was shown not to help; `base`, the unchanged embeddings; `holdout`, the same for a held-out user. Later versions may add values.',
});

const itemId = z.string().describe('Id of the item.');
const adapterVersion = z.int().min(0).describe('Number of updates of the adapter; 0 for a user without one.');
const skillsVersion = z.int().min(0).describe('Version of the population model.');
const catalogueVersion = z.int().min(0).describe('Version of the catalogue.');
const userId = z.string().describe('Id of the user, from the request.');
const index = z.int().min(0).describe('Position among the candidates, from 0.');
const matching = z
  .int()
  .min(0)
  .describe(
    'Number of items that pass the filter and the exclusions. With fewer than `limit`, the answer has all of them.',
  );
const scoreParts = z
  .object({
    base: z.number().describe('The mean reward of all users; 0 where items are ranked by choice.'),
    popularity: z
      .number()
      .describe("Where items are ranked by choice, the logarithm of the item's popularity; otherwise 0."),
    item: z
      .number()
      .describe('What everyone thinks of the item beyond prediction; 0 where items are ranked by choice.'),
    together: z
      .number()
      .describe(
        "Where items are ranked by choice, the gain because others picked the item together with this user's picks; otherwise 0.",
      ),
    user: z.number().describe("The part of the user's taste."),
  })
  .describe("The score's summands, if the request asks for them.");
const parts = scoreParts.optional();
const because = z
  .object({
    prior: z.number().describe("The user's part without any feedback of the user."),
    items: z
      .array(z.object({ itemId, pull: z.number().describe("The item's term of the sum.") }))
      .describe('Past items of the user with the largest pulls, positive or negative; at most five.'),
    rest: z.number().describe('The pull of all other interactions.'),
  })
  .describe(
    "The summands of the user's part, if the request asks for parts and the score is linear in the user's own rewards.",
  )
  .optional();
const propensity = z
  .number()
  .describe('Only with exploration: the probability that such a request shows the item, in any place.')
  .optional();
const score = z
  .number()
  .describe(
    'Of a candidate the predicted reward, which may be outside [0, 1]. In lists of the catalogue, and where users only pick ' +
      'items, the logarithm of how much more likely this pick is than that of an item without popularity or taste.',
  );

const served = { userId, adapterVersion, skillsVersion, source };

export const scoredItem = z
  .object({ index, itemId: itemId.optional(), score, parts })
  .meta({ id: 'ScoredItem' });
export const embeddedItem = z
  .object({
    index,
    itemId: itemId.optional(),
    embedding: z.base64().describe("The item's embedding, personalised for the user: base64 of float32."),
  })
  .meta({ id: 'EmbeddedItem' });
export const recommendedItem = z
  .object({ itemId, score, parts, because, propensity })
  .meta({ id: 'RecommendedItem' });
export const similarItem = recommendedItem
  .extend({ similarity: z.number().describe('Cosine of the two embeddings.') })
  .meta({ id: 'SimilarItem' });

export const scoreAnswer = z
  .object({ ...served, items: z.array(scoredItem).describe('By descending score.') })
  .meta({ id: 'ScoreAnswer', description: 'Candidates with scores.' });
export const embedAnswer = z
  .object({ ...served, items: z.array(embeddedItem).describe('In the order of the candidates.') })
  .meta({ id: 'EmbedAnswer', description: 'Candidates with embeddings.' });
export const recommendAnswer = z
  .object({
    ...served,
    catalogueVersion,
    matching,
    recommendationId: z
      .string()
      .describe("Names this answer in feedback: the request's `requestId`, or a new one."),
    requestId: z
      .string()
      .optional()
      .describe('Only with exploration: the same as `recommendationId`, under an older name.'),
    propensityDraws: z
      .int()
      .optional()
      .describe(
        'Only with exploration: number of draws behind the propensities. A propensity p has the standard error √(p(1 − p)/draws).',
      ),
    items: z.array(recommendedItem).describe('By descending score.'),
  })
  .meta({ id: 'RecommendAnswer', description: 'The best items of the catalogue for a user.' });
export const similarAnswer = z
  .object({
    itemId,
    catalogueVersion,
    matching,
    items: z
      .array(similarItem)
      .describe('By descending similarity; for a user, by descending score of the user.'),
  })
  .meta({ id: 'SimilarAnswer', description: 'Items similar to an item.' });
export const searchAnswer = z
  .object({
    ...served,
    catalogueVersion,
    matching,
    queryVector: z
      .base64()
      .optional()
      .describe(
        "The vector that searches any other store with the user's taste, if the request asks for it: base64 of float32.",
      ),
    items: z
      .array(recommendedItem)
      .describe('By descending product of the query and the personalised embedding.'),
  })
  .meta({ id: 'SearchAnswer', description: 'Items by a query and taste together.' });

export const explainedError = z
  .object({
    code: z.string().describe('`invalid-input` for an error of the caller. Later versions may add values.'),
    field: z
      .string()
      .describe('Path of the field, such as `candidates[3].embedding`; empty for the whole request.'),
    found: z.string().describe('The value found, shortened.'),
    expected: z.string().describe('The value expected.'),
    message: z.string().describe('The whole error as a sentence.'),
  })
  .meta({ id: 'ExplainedError', description: 'An error of the caller.' });

export const errorAnswer = z
  .object({ error: explainedError })
  .meta({ id: 'ErrorAnswer', description: 'Replaces the answer.' });
export const failureAnswer = z
  .object({
    error: z.object({
      code: z.string().describe('`unavailable` or `internal`. Later versions may add values.'),
      message: z.string().describe('What to do.'),
    }),
  })
  .meta({ id: 'FailureAnswer', description: 'The function failed, although the request is valid.' });

export type Source = z.output<typeof source>;
export interface ScoreParts extends z.output<typeof scoreParts> {}
export type Because = NonNullable<z.output<typeof because>>;
export interface ScoredItem extends z.output<typeof scoredItem> {}
export interface EmbeddedItem extends z.output<typeof embeddedItem> {}
export interface RecommendedItem extends z.output<typeof recommendedItem> {}
export interface ScoreAnswer extends z.output<typeof scoreAnswer> {}
export interface EmbedAnswer extends z.output<typeof embedAnswer> {}
/** A refused request of either kind. */
export interface PersonalizeAnswer extends Omit<ScoreAnswer, 'items'> {
  readonly items: readonly (ScoredItem | EmbeddedItem)[];
}
export interface RecommendAnswer extends z.output<typeof recommendAnswer> {}
export interface SimilarAnswer extends z.output<typeof similarAnswer> {}
export interface SearchAnswer extends z.output<typeof searchAnswer> {}
export interface ExplainedError extends z.output<typeof explainedError> {}
