import { InvalidInputError } from '../errors.ts';
import type { DownProjection } from './basis.ts';
import { adapt, adaptBatch, dotProducts, foldQuery, scoreShare } from './kernels.ts';

/** The part of an adapter that a user's feedback determines: the up-projection B and the offset. */
export interface LoraWeights {
  /** B (with C), d×r, row-major. Empty without a basis. */
  readonly b: Float32Array;
  /** How much higher or lower the user rates all items, in units of reward. */
  readonly offset: number;
}

/** A user's adapter, ready to apply: y = x + s·B·A·x. Without a basis it has only the offset. */
export interface LoraAdapter extends LoraWeights {
  readonly basis: DownProjection | null;
}

/**
 * The personalised embedding y = x + s·B·A·x (Hu et al., LoRA, 2021, eq. 3, with the identity in
 * place of W0).
 * @param x item embedding, length d, of any norm
 * @param out length d, overwritten; may be `x` itself
 * @throws InvalidInputError when x or `out` has another length than the adapter's
 */
export function forward(
  { basis, b }: LoraAdapter,
  x: Float32Array,
  out: Float32Array = new Float32Array(x.length),
): Float32Array {
  checkLength(basis, x, 'embedding');
  if (out.length !== x.length)
    throw new InvalidInputError('out', `${out.length} numbers`, `${x.length} numbers`);
  if (basis === null) out.set(x);
  else adapt(basis.a, b, basis.scale, basis.rank, x, out);
  return out;
}

/**
 * `forward` of every embedding, faster than one by one. The results share one buffer.
 * @throws InvalidInputError naming the first embedding with another length than the adapter's
 */
export function batchForward({ basis, b }: LoraAdapter, xs: readonly Float32Array[]): Float32Array[] {
  xs.forEach((x, n) => {
    checkLength(basis, x, `embeddings[${n}]`);
  });
  if (basis === null) return xs.map((x) => x.slice());
  const d = basis.embeddingDim;
  const all = new Float32Array(xs.length * d);
  const outs = xs.map((_, n) => all.subarray(n * d, (n + 1) * d));
  adaptBatch(basis.a, b, basis.scale, basis.rank, xs, outs);
  return outs;
}

/**
 * The adapter's contribution to an item's score: ⟨x, y⟩/⟨x, x⟩ − 1, plus the user's offset, in
 * units of reward. Does not depend on the length of x; a zero vector gets the offset alone.
 * @throws InvalidInputError when x has another length than the adapter's
 */
export function userPart({ basis, b, offset }: LoraAdapter, x: Float32Array): number {
  checkLength(basis, x, 'embedding');
  return basis === null ? offset : scoreShare(basis.a, b, basis.scale, basis.rank, x) + offset;
}

/**
 * ⟨q, y⟩ of every candidate x, where y is the personalised x: the ranking of a vector search for q
 * among the personalised embeddings. The adapter is folded into the query once, ⟨q, x + sBAx⟩ = ⟨q
 * + sAᵀBᵀq, x⟩, so that each candidate costs one dot product.
 * @returns one number per candidate, in their order
 * @throws InvalidInputError naming the vector with another length than the adapter's
 */
export function queryScores(
  { basis, b }: LoraAdapter,
  query: Float32Array,
  candidates: readonly Float32Array[],
): Float64Array {
  checkLength(basis, query, 'query');
  candidates.forEach((x, n) => {
    if (x.length !== query.length)
      throw new InvalidInputError(`candidates[${n}]`, `${x.length} numbers`, `${query.length} numbers`);
  });
  const folded = personalizedQuery({ basis, b }, query);
  const scores = new Float64Array(candidates.length);
  dotProducts(folded, candidates, scores);
  return scores;
}

/**
 * The vector q' with ⟨q', x⟩ = ⟨q, y⟩ for every item x and its personalised y. Any vector search
 * with q' ranks for the user.
 * @throws InvalidInputError when the query has another length than the adapter's
 */
export function personalizedQuery(
  { basis, b }: Pick<LoraAdapter, 'basis' | 'b'>,
  query: Float32Array,
): Float32Array {
  checkLength(basis, query, 'query');
  if (basis === null) return query;
  const folded = new Float32Array(query.length);
  foldQuery(basis.a, b, basis.scale, basis.rank, query, folded);
  return folded;
}

function checkLength(basis: DownProjection | null, x: Float32Array, field: string): void {
  if (basis !== null && x.length !== basis.embeddingDim) {
    throw new InvalidInputError(field, `${x.length} numbers`, `${basis.embeddingDim} numbers`);
  }
}
