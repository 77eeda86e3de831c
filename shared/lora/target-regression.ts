import { type Basis, project, vectorNorm } from './basis.ts';
import { REFERENCE_SCALE } from './prior.ts';
import { addOuterProduct, cholesky, choleskySolve, type PackedSymmetric, packedLength } from './symmetric.ts';

/**
 * Sums of target embeddings: ridge regression of t − x on z = s·A·x, for the second block C of y =
 * x + s(B + C)A·x. Rewards determine only the symmetric part of B·A; targets can also teach
 * rotations.
 */
export interface TargetSums {
  /** S_zz = Σzzᵀ, packed, order r. */
  readonly szz: PackedSymmetric;
  /** S_tz = Σ(t − x)zᵀ, d×r, row-major. */
  readonly stz: Float64Array;
  readonly count: number;
}

/**
 * λ, the ridge: noise over prior variance of an entry of C, the same as for rewards before any
 * feedback (0.04 / 0.4).
 */
const RIDGE = 0.1;

export function emptyTargetSums(basis: Basis): TargetSums {
  return {
    szz: new Float64Array(packedLength(basis.rank)),
    stz: new Float64Array(basis.embeddingDim * basis.rank),
    count: 0,
  };
}

/**
 * The sums with one more pair. Both vectors are divided by |x|, so that every item has the same
 * weight; a zero x is ignored.
 * @param x item embedding, length d
 * @param target t, length d
 */
export function addTarget(
  sums: TargetSums,
  basis: Basis,
  x: ArrayLike<number>,
  target: ArrayLike<number>,
): TargetSums {
  const norm = vectorNorm(x);
  const next = { szz: sums.szz.slice(), stz: sums.stz.slice(), count: sums.count + 1 };
  if (norm === 0) return next;
  const z = project(basis.a, x, basis.rank).map((value) => (basis.scale * value) / norm);
  addOuterProduct(next.szz, z);
  for (let i = 0; i < x.length; i++) {
    const residual = (target[i]! - x[i]!) / norm;
    for (let k = 0; k < z.length; k++) next.stz[i * z.length + k]! += residual * z[k]!;
  }
  return next;
}

/**
 * C = S_tz(S_zz + λI)⁻¹, d×r, row-major. The ridge grows with s², so that s·C does not depend on
 * the scaling factor, and with the sums, so that a million equal pairs cannot make the matrix
 * numerically singular.
 */
export function solveTargets(sums: TargetSums, { rank, scale }: Pick<Basis, 'rank' | 'scale'>): Float64Array {
  const matrix = sums.szz.slice();
  let trace = 0;
  for (let k = 0; k < rank; k++) trace += matrix[packedLength(k) + k]!;
  const ridge = Math.max(RIDGE * (scale / REFERENCE_SCALE) ** 2, 1e-10 * trace);
  for (let k = 0; k < rank; k++) matrix[packedLength(k) + k]! += ridge;
  const l = cholesky(matrix, rank)!;
  const c = new Float64Array(sums.stz.length);
  for (let at = 0; at < c.length; at += rank) c.set(choleskySolve(l, sums.stz.subarray(at, at + rank)), at);
  return c;
}
