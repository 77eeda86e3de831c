import { vectorNorm } from '../lora/basis.ts';
import { createRandom } from '../lora/random.ts';

/** Embeddings from feedback after which the basis is not learned again. */
export const ENOUGH_EMBEDDINGS = 2_000;
/** Share of updates whose episode carries embeddings. */
const SHARE = 0.08;
/**
 * Most embeddings per episode: four of 64 numbers fit into the kilobyte that DynamoDB bills for an
 * episode anyway.
 */
const PER_UPDATE = 4;

/**
 * Number of embeddings at which the basis is learned again: twice as many as before. Undefined when
 * it has enough, and for a basis of a catalogue.
 * @param learnedFrom embeddings that the basis was learned from; undefined for a basis of a
 * catalogue
 */
export function embeddingsWanted(learnedFrom: number | undefined): number | undefined {
  return learnedFrom !== undefined && 2 * learnedFrom <= ENOUGH_EMBEDDINGS ? 2 * learnedFrom : undefined;
}

/**
 * The embeddings that the episode of an update carries, of unit length in float16: none for most
 * updates, up to four for 8 % of them. The choice depends on user and version alone, so that a
 * repeated update carries the same.
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
