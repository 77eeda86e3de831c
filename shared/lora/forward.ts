import { InvalidInputError } from '../errors.ts';
import { type Basis, project, vectorNorm } from './basis.ts';
import type { LoraWeights } from './bayesian.ts';

/** A user's adapter as it is applied: y = x + s·B·A·x. */
export interface LoraAdapter extends LoraWeights {
  readonly basis: Basis;
}

/**
 * The personalised embedding y = x + s·B·A·x (Hu et al., LoRA, 2021, eq. 3, with the identity in place of W0).
 * @param x item embedding, length d, of any norm
 * @throws InvalidInputError when x has another length than the adapter's
 */
export function forward(
  adapter: LoraAdapter,
  x: Float32Array,
  out = new Float32Array(x.length),
): Float32Array {
  const { basis, b } = adapter;
  checkLength(basis, x);
  const z = project(basis.a, x, basis.rank);
  for (let i = 0, at = 0; i < x.length; i++) {
    let sum = 0;
    for (let k = 0; k < basis.rank; k++, at++) sum += b[at]! * z[k]!;
    out[i] = x[i]! + basis.scale * sum;
  }
  return out;
}

/**
 * The adapter's share of an item's score: ⟨x, y⟩/⟨x, x⟩ − 1, and the user's offset. In units of reward; 0 for no adapter.
 * Does not depend on the length of x; a zero vector gets the offset.
 */
export function userPart(adapter: LoraAdapter, x: Float32Array): number {
  const { basis, b, offset } = adapter;
  checkLength(basis, x);
  const norm = vectorNorm(x);
  if (norm === 0) return offset;
  const z = project(basis.a, x, basis.rank);
  let sum = 0;
  for (let i = 0, at = 0; i < x.length; i++) {
    let row = 0;
    for (let k = 0; k < basis.rank; k++, at++) row += b[at]! * z[k]!;
    sum += x[i]! * row;
  }
  return (basis.scale * sum) / (norm * norm) + offset;
}

function checkLength(basis: Basis, x: Float32Array): void {
  if (x.length !== basis.embeddingDim) {
    throw new InvalidInputError('embedding', `${x.length} numbers`, `${basis.embeddingDim} numbers`);
  }
}
