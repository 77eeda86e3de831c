import type { Random } from './random.ts';
import { dot } from './symmetric.ts';

/** Row-major matrix: `values[i * columns + j]`. */
export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
}

/**
 * All eigenpairs of a dense symmetric matrix of order n by cyclic Jacobi rotations (Golub & Van
 * Loan, Matrix Computations, 4th ed., alg. 8.5.3). For the small matrices of a Rayleigh–Ritz step;
 * costs about 10·n³.
 * @param matrix n×n, row-major; not changed
 * @returns eigenvalues in descending order and, in the same order, unit eigenvectors as rows of an
 * n×n matrix
 */
export function symmetricEigen(matrix: Float64Array, n: number): { values: Float64Array; vectors: Matrix } {
  const a = matrix.slice();
  const v = new Float64Array(n * n);
  for (let i = 0; i < n; i++) v[i * n + i] = 1;
  for (let sweep = 0; sweep < 60; sweep++) {
    let off = 0;
    let total = 0;
    for (let i = 0; i < n; i++)
      for (let j = 0; j < n; j++) {
        const square = a[i * n + j]! ** 2;
        total += square;
        if (i !== j) off += square;
      }
    if (off <= 1e-30 * total) break;
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotate(a, v, n, p, q);
  }
  const order = Array.from({ length: n }, (_, i) => i).sort((i, j) => a[j * n + j]! - a[i * n + i]!);
  const values = Float64Array.from(order, (i) => a[i * n + i]!);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => {
    vectors.set(v.subarray(from * n, (from + 1) * n), to * n);
  });
  return { values, vectors: { rows: n, columns: n, values: vectors } };
}

/** One Jacobi rotation, which zeroes a[p][q]. The rows of `v` accumulate the eigenvectors. */
function rotate(a: Float64Array, v: Float64Array, n: number, p: number, q: number): void {
  const apq = a[p * n + q]!;
  if (apq === 0) return;
  const tau = (a[q * n + q]! - a[p * n + p]!) / (2 * apq);
  const t = (tau >= 0 ? 1 : -1) / (Math.abs(tau) + Math.sqrt(1 + tau * tau));
  const c = 1 / Math.sqrt(1 + t * t);
  const s = t * c;
  for (let k = 0; k < n; k++) {
    const kp = a[k * n + p]!;
    const kq = a[k * n + q]!;
    a[k * n + p] = c * kp - s * kq;
    a[k * n + q] = s * kp + c * kq;
  }
  for (let k = 0; k < n; k++) {
    const pk = a[p * n + k]!;
    const qk = a[q * n + k]!;
    a[p * n + k] = c * pk - s * qk;
    a[q * n + k] = s * pk + c * qk;
    const vp = v[p * n + k]!;
    const vq = v[q * n + k]!;
    v[p * n + k] = c * vp - s * vq;
    v[q * n + k] = s * vp + c * vq;
  }
}

/**
 * The `count` leading eigenvectors of a symmetric positive semidefinite operator, by randomized
 * subspace iteration and a Rayleigh–Ritz step (Halko, Martinsson & Tropp, SIAM Review 53(2), 2011,
 * alg. 4.4 and 5.3).
 * @param apply writes operator·v into `out`; both have length n
 * @returns unit eigenvectors as rows (count×n), leading first, each with its largest element
 * positive; rows beyond n are zero
 */
export function leadingEigenvectors(
  apply: (v: Float64Array, out: Float64Array) => void,
  n: number,
  count: number,
  random: Random,
  iterations = 12,
): Matrix {
  const block = Math.min(n, count + 10);
  const rows = Array.from({ length: block }, () => Float64Array.from({ length: n }, () => random.normal()));
  orthonormalizeRows(rows, random);
  const images = rows.map(() => new Float64Array(n));
  const applyAll = () => {
    for (const [i, row] of rows.entries()) apply(row, images[i]!);
  };
  for (let i = 0; i < iterations; i++) {
    applyAll();
    for (const [k, row] of rows.entries()) row.set(images[k]!);
    orthonormalizeRows(rows, random);
  }
  applyAll();
  const projected = new Float64Array(block * block);
  for (let i = 0; i < block; i++)
    for (let j = 0; j < block; j++)
      projected[i * block + j] = (dot(rows[i]!, images[j]!) + dot(rows[j]!, images[i]!)) / 2;
  const ritz = symmetricEigen(projected, block).vectors;
  const values = new Float64Array(count * n);
  for (let k = 0; k < Math.min(count, n); k++) {
    const out = values.subarray(k * n, (k + 1) * n);
    for (let b = 0; b < block; b++) {
      const weight = ritz.values[k * block + b]!;
      const row = rows[b]!;
      for (let i = 0; i < n; i++) out[i]! += weight * row[i]!;
    }
    fixSign(out);
  }
  return { rows: count, columns: n, values };
}

/**
 * Modified Gram–Schmidt, twice for stability. A row that vanishes is replaced by a random
 * direction.
 */
export function orthonormalizeRows(rows: readonly Float64Array[], random: Random): void {
  rows.forEach((row, i) => {
    for (let attempt = 0; attempt < 4; attempt++) {
      const before = Math.sqrt(dot(row, row));
      for (let pass = 0; pass < 2; pass++)
        for (let j = 0; j < i; j++) {
          const other = rows[j]!;
          const share = dot(row, other);
          for (let k = 0; k < row.length; k++) row[k]! -= share * other[k]!;
        }
      const norm = Math.sqrt(dot(row, row));
      if (norm > 1e-10 * before && norm > 0) {
        for (let k = 0; k < row.length; k++) row[k]! /= norm;
        return;
      }
      for (let k = 0; k < row.length; k++) row[k] = random.normal();
    }
    throw new RangeError(`cannot make ${rows.length} orthonormal rows of length ${row.length}`);
  });
}

function fixSign(vector: Float64Array): void {
  let largest = 0;
  for (const value of vector) if (Math.abs(value) > Math.abs(largest)) largest = value;
  if (largest < 0) for (let i = 0; i < vector.length; i++) vector[i] = -vector[i]!;
}
