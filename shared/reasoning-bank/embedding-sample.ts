import { createHash } from 'node:crypto';
import { vectorNorm } from '../lora/basis.ts';

/** Embeddings out of feedback that are enough for a basis. */
export const ENOUGH_EMBEDDINGS = 2_000;
/** Share of the updates whose episode carries one. */
const SHARE = 0.05;

/** Whether a basis that was learned from so many embeddings is to be learned again from more: when they would at least be doubled. */
export function wantsMoreEmbeddings(learnedFrom: number | undefined): boolean {
  return learnedFrom !== undefined && 2 * learnedFrom <= ENOUGH_EMBEDDINGS;
}

/**
 * The embedding that the episode of an update carries, of unit length in float16; of few updates one. Which, depends on user and version
 * alone, so that an update that is done again carries the same.
 * @param embeddings of the update's interactions, at least one
 */
export function sampleOfUpdate(
  userKey: string,
  version: number,
  embeddings: readonly Float32Array[],
): Float16Array | undefined {
  const hash = createHash('sha256').update(`embedding ${userKey} ${version}`).digest();
  if (hash.readUInt32BE(0) >= SHARE * 2 ** 32) return undefined;
  const embedding = embeddings[hash.readUInt32BE(4) % embeddings.length]!;
  const norm = vectorNorm(embedding);
  return norm === 0 ? undefined : Float16Array.from(embedding, (value) => value / norm);
}
