import * as z from 'zod';
import { InvalidInputError, shown } from '../errors.ts';
import { decodeEmbedding } from '../feedback/embedding-codec.ts';
import { EMBEDDING_FORM } from '../feedback/event-schema.ts';
import { parseInput } from '../validation/faults.ts';
import { idSchema as id } from '../validation/id.ts';
import { lengthFirst } from '../validation/length-first.ts';

/** Which items to personalise for whom. */
export interface PersonalizeRequest {
  readonly userId: string;
  readonly candidates: readonly Candidate[];
  /**
   * `scores`: candidates by descending score. `embeddings`: every candidate's y, in the given
   * order.
   */
  readonly answer: 'scores' | 'embeddings';
  /** Whether scores come with their parts. */
  readonly explain: boolean;
}

export interface Candidate {
  readonly itemId?: string;
  /** x, float32, length d. */
  readonly embedding: Float32Array;
}

export const PERSONALIZE_LIMITS = { candidates: 500, bodyBytes: 4 * 1024 * 1024 } as const;

/**
 * Checks the form only: Zod would take seconds and hundreds of MB to check every number of a 4 MB
 * request.
 */
export const embedding = z
  .custom<string | number[]>((value) => typeof value === 'string' || Array.isArray(value), {
    error: 'base64 of little-endian float32, or an array of numbers',
  })
  .meta(EMBEDDING_FORM);
export const embeddingModel = z
  .string({ error: 'a string' })
  .optional()
  .describe('The model that made the embeddings. A deployment with another model refuses the request.');
const candidateCount = `1 to ${PERSONALIZE_LIMITS.candidates} candidates`;
export const personalizeRequest = z
  .strictObject(
    {
      userId: id.describe('Id of the user.'),
      candidates: lengthFirst(
        z
          .array(
            z.strictObject({
              itemId: id.optional().describe('Id of the item; the answer repeats it.'),
              embedding: embedding.describe(
                "base64 of little-endian float32, or an array of numbers, of the deployment's length.",
              ),
            }),
            { error: candidateCount },
          )
          .meta({ minItems: 1, maxItems: PERSONALIZE_LIMITS.candidates, description: 'The items.' }),
        { min: 1, max: PERSONALIZE_LIMITS.candidates, error: candidateCount },
      ),
      answer: z
        .enum(['scores', 'embeddings'], { error: '"scores" or "embeddings"' })
        .default('scores')
        .describe('Candidates by descending score, or their personalised embeddings in the given order.'),
      explain: z
        .boolean({ error: 'true or false' })
        .default(false)
        .describe('Whether scores come with their parts.'),
      embeddingModel,
    },
    { error: 'an object with userId and candidates' },
  )
  .meta({ id: 'PersonalizeRequest', description: 'Scores or embeddings of candidates for a user.' });

/**
 * Lambda refuses answers of more than 6 MiB (6,291,556 bytes). The rest is for everything around
 * the items.
 */
const ANSWER_BYTES = 6_200_000;
/** An item's index, id (128 characters, each escaped at worst) and field names in JSON. */
const ITEM_BYTES = 900;

/** Most embeddings of a length that fit into one answer, each as base64 of float32. */
function mostEmbeddings(embeddingDim: number): number {
  return Math.floor(ANSWER_BYTES / (4 * Math.ceil((4 * embeddingDim) / 3) + ITEM_BYTES));
}

/**
 * @param settings the deployment's embedding length and model
 * @throws InvalidInputError naming the first invalid field
 */
export function parsePersonalizeRequest(
  payload: unknown,
  settings: { readonly embeddingDim: number; readonly embeddingModel: string },
): PersonalizeRequest {
  const { candidates, embeddingModel, ...request } = parseInput(personalizeRequest, payload);
  if (embeddingModel !== undefined && embeddingModel !== settings.embeddingModel) {
    throw new InvalidInputError('embeddingModel', shown(embeddingModel), shown(settings.embeddingModel));
  }
  const largest = mostEmbeddings(settings.embeddingDim);
  if (request.answer === 'embeddings' && candidates.length > largest)
    throw new InvalidInputError(
      'candidates',
      `${candidates.length} items`,
      `at most ${largest}, whose embeddings of ${settings.embeddingDim} numbers fit into an answer`,
    );
  return {
    ...request,
    candidates: candidates.map(({ itemId, embedding }, i) => ({
      ...(itemId === undefined ? {} : { itemId }),
      embedding: decodeEmbedding(embedding, settings.embeddingDim, `candidates[${i}].embedding`),
    })),
  };
}
