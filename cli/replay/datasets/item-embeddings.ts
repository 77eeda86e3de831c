import { InvalidInputError, shown } from '../../../shared/errors.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { contentMatrix, ratingMatrix } from './item-features.ts';
import type { RatingsData } from './ratings.ts';
import { truncatedSvdScores } from './truncated-svd.ts';

/** `content`: from the items' content. `hybrid`: half content, half the users who liked them. */
export type EmbeddingKind = 'hybrid' | 'content';

export interface ItemEmbeddingOptions {
  /** Length of the embeddings, at least 16; default 64. */
  readonly dim?: number;
  readonly kind: EmbeddingKind;
  readonly seed: number | string;
}

/**
 * Square of the first coordinate, which is the same for every item, so that a linear learner can
 * raise the scores of all items at once.
 */
const CONSTANT_SQUARE = 0.25;

/**
 * Embeddings of unit length for every item in `movies` or `ratings`: a constant coordinate (.5),
 * then content (31 of 64 dimensions; for `content` all 63), then co-ratings (32). An unknown item
 * gets the mean direction.
 * @param data ratings and tags of users who are not predicted
 * @throws InvalidInputError when `dim` is not an integer from 16 to 4096
 */
export function itemEmbeddings(
  { movies, ratings, tags }: RatingsData,
  { dim = 64, kind, seed }: ItemEmbeddingOptions,
): Map<string, Float32Array> {
  if (!Number.isInteger(dim) || dim < 16 || dim > 4096) {
    throw new InvalidInputError('dim', shown(dim), 'an integer from 16 to 4096');
  }
  const random = createRandom(`item embeddings ${seed}`);
  const itemIds = [...new Set([...movies.keys(), ...ratings.map(({ itemId }) => itemId)])];
  const contentDims = kind === 'content' ? dim - 1 : Math.floor((dim - 1) / 2);
  const ratingDims = dim - 1 - contentDims;

  const content = truncatedSvdScores(contentMatrix(itemIds, movies, tags), contentDims, random);
  for (let row = 0; row < itemIds.length; row++) {
    scaleTo(1, content.subarray(row * contentDims, (row + 1) * contentDims));
  }
  const coRatings = new Float64Array(itemIds.length * ratingDims);
  if (ratingDims > 0) {
    coRatings.set(truncatedSvdScores(ratingMatrix(itemIds, ratings), ratingDims, random));
    scaleTo(Math.sqrt(itemIds.length), coRatings); // Root mean square of the rows is then 1.
  }

  const directions = itemIds.map((_, row) => {
    const direction = new Float64Array(dim - 1);
    direction.set(content.subarray(row * contentDims, (row + 1) * contentDims));
    direction.set(coRatings.subarray(row * ratingDims, (row + 1) * ratingDims), contentDims);
    return direction;
  });
  const mean = new Float64Array(dim - 1);
  for (const direction of directions) for (let i = 0; i < dim - 1; i++) mean[i]! += direction[i]!;
  if (!scaleTo(1, mean)) mean[0] = 1;

  return new Map(
    itemIds.map((id, row) => {
      const direction = directions[row]!;
      if (!scaleTo(Math.sqrt(1 - CONSTANT_SQUARE), direction)) {
        direction.set(mean);
        scaleTo(Math.sqrt(1 - CONSTANT_SQUARE), direction);
      }
      const embedding = new Float32Array(dim);
      embedding[0] = Math.sqrt(CONSTANT_SQUARE);
      embedding.set(direction, 1);
      return [id, embedding];
    }),
  );
}

/** Scales a vector to a length, in place; false when it is zero. */
function scaleTo(length: number, vector: Float64Array): boolean {
  const norm = Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0));
  if (norm < 1e-9) {
    vector.fill(0);
    return false;
  }
  for (let i = 0; i < vector.length; i++) vector[i]! *= length / norm;
  return true;
}
