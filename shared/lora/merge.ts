import { InvalidInputError, shown } from '../errors.ts';
import type { DownProjection } from './basis.ts';
import { leadingEigenvectors } from './eigen.ts';
import type { LoraAdapter } from './forward.ts';
import { createRandom } from './random.ts';

/** An adapter that has a basis. */
export type MergeableAdapter = LoraAdapter & { readonly basis: DownProjection };

/**
 * The adapter of the same rank and scale that is nearest (in Frobenius norm) to the weighted mean
 * of the adapters' functions s·B·A: the mean of B when all share A, otherwise the truncated
 * singular value decomposition of the mean (Eckart & Young 1936), with orthonormal rows in A.
 * Averaging A and B themselves would be wrong, because (A, B) and (−A, −B) are the same function.
 * @param weights one per adapter, none negative, not all zero; they are divided by their sum.
 * Default: all equal
 * @throws InvalidInputError when there is no adapter, sizes differ, or weights are unusable
 */
export function mergeLora(
  adapters: readonly MergeableAdapter[],
  weights?: readonly number[],
): MergeableAdapter {
  const first = adapters[0];
  if (first === undefined) throw new InvalidInputError('adapters', 'none', 'at least one');
  const shares = normalized(weights ?? adapters.map(() => 1), adapters.length);
  const { embeddingDim: d, rank, scale } = first.basis;
  adapters.forEach(({ basis }, i) => {
    if (basis.embeddingDim !== d || basis.rank !== rank) {
      const found = `dimension ${basis.embeddingDim} and rank ${basis.rank}`;
      throw new InvalidInputError(`adapters[${i}]`, found, `dimension ${d} and rank ${rank}`);
    }
  });
  const offset = adapters.reduce((sum, adapter, i) => sum + shares[i]! * adapter.offset, 0);
  // In units of the result's s.
  const factors = adapters.map(({ basis }, i) => (shares[i]! * basis.scale) / scale);

  if (adapters.every(({ basis }) => sameNumbers(basis.a, first.basis.a))) {
    const b = new Float64Array(d * rank);
    adapters.forEach((adapter, i) => {
      for (let at = 0; at < b.length; at++) b[at]! += factors[i]! * adapter.b[at]!;
    });
    return { basis: first.basis, b: Float32Array.from(b), offset };
  }

  // M = Σ factor·B·A is never formed: it is multiplied by vectors, adapter by adapter.
  const latent = new Float64Array(rank);
  const applyMean = (v: Float64Array, out: Float64Array) => {
    out.fill(0);
    adapters.forEach(({ basis, b }, i) => {
      addProduct(basis.a, d, v, factors[i]!, latent.fill(0));
      addProduct(b, rank, latent, 1, out);
    });
  };
  const applyTransposedMean = (v: Float64Array, out: Float64Array) => {
    out.fill(0);
    adapters.forEach(({ basis, b }, i) => {
      addTransposedProduct(b, rank, v, factors[i]!, latent.fill(0));
      addTransposedProduct(basis.a, d, latent, 1, out);
    });
  };
  const image = new Float64Array(d);
  const right = leadingEigenvectors(
    (v, out) => {
      applyMean(v, image);
      applyTransposedMean(image, out);
    },
    d,
    rank,
    createRandom('merge'),
  ).values;
  const b = new Float32Array(d * rank);
  for (let k = 0; k < rank; k++) {
    applyMean(right.subarray(k * d, (k + 1) * d), image);
    for (let i = 0; i < d; i++) b[i * rank + k] = image[i]!;
  }
  return { basis: { embeddingDim: d, rank, scale, a: Float32Array.from(right) }, b, offset };
}

/** out += weight·P·v, P row-major. */
function addProduct(
  p: Float32Array,
  columns: number,
  v: Float64Array,
  weight: number,
  out: Float64Array,
): void {
  for (let i = 0, at = 0; i < out.length; i++) {
    let sum = 0;
    for (let j = 0; j < columns; j++, at++) sum += p[at]! * v[j]!;
    out[i]! += weight * sum;
  }
}

/** out += weight·Pᵀ·v, P row-major. */
function addTransposedProduct(
  p: Float32Array,
  columns: number,
  v: Float64Array,
  weight: number,
  out: Float64Array,
): void {
  for (let i = 0, at = 0; i < v.length; i++) {
    const vi = weight * v[i]!;
    for (let j = 0; j < columns; j++, at++) out[j]! += vi * p[at]!;
  }
}

function normalized(weights: readonly number[], count: number): number[] {
  if (weights.length !== count) {
    throw new InvalidInputError('weights', `${weights.length} weights`, `${count}, one per adapter`);
  }
  weights.forEach((weight, i) => {
    if (!(weight >= 0 && weight < Number.POSITIVE_INFINITY)) {
      throw new InvalidInputError(`weights[${i}]`, shown(weight), 'a finite number of at least 0');
    }
  });
  // Divides by the largest weight first, so that neither huge nor tiny weights overflow or
  // underflow.
  const largest = Math.max(...weights);
  if (largest === 0) throw new InvalidInputError('weights', 'zeros only', 'at least one above 0');
  const scaled = weights.map((weight) => weight / largest);
  const sum = scaled.reduce((total, weight) => total + weight, 0);
  return scaled.map((weight) => weight / sum);
}

function sameNumbers(p: Float32Array, q: Float32Array): boolean {
  return p === q || (p.length === q.length && p.every((value, i) => value === q[i]));
}
