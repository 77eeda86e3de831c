import { vectorNorm } from '../lora/basis.ts';
import { createRandom } from '../lora/random.ts';

/** Embeddings out of feedback that are enough for a basis. */
export const ENOUGH_EMBEDDINGS = 2_000;
/** Share of the updates whose episode carries some. */
const SHARE = 0.08;
/** So many at most: of 64 numbers, four fit into the kilobyte that an episode is billed as anyway. */
const PER_UPDATE = 4;

/**
 * Embeddings with which a basis is learned again: twice as many as before. Undefined when it has enough, and for one of a catalogue.
 * @param learnedFrom embeddings out of feedback that it was made of; undefined for a catalogue
 */
export function embeddingsWanted(learnedFrom: number | undefined): number | undefined {
  return learnedFrom !== undefined && 2 * learnedFrom <= ENOUGH_EMBEDDINGS ? 2 * learnedFrom : undefined;
}

/**
 * The embeddings that the episode of an update carries, of unit length in float16: none of most updates, of a few per cent up to four.
 * It depends on user and version alone which, so that an update that is done again carries the same.
 * @param embeddings of the update's interactions
 */
export function sampleOfUpdate(
  userKey: string,
  version: number,
  embeddings: readonly Float32Array[],
): Float16Array[] {
  const random = createRandom(`embeddings ${userKey} ${version}`);
  if (random.next() >= SHARE) return [];
  return random
    .shuffle(embeddings.filter((embedding) => vectorNorm(embedding) > 0))
    .slice(0, PER_UPDATE)
    .map((embedding) => {
      const norm = vectorNorm(embedding);
      return Float16Array.from(embedding, (value) => value / norm);
    });
}
