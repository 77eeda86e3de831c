import { leadingEigenvectors } from '../../../shared/lora/eigen.ts';
import type { Random } from '../../../shared/lora/random.ts';

/**
 * Compressed sparse rows: row i holds `values[k]` in column `indices[k]` for k from `starts[i]` to
 * `starts[i + 1] − 1`.
 */
export interface SparseMatrix {
  readonly rows: number;
  readonly columns: number;
  readonly starts: Int32Array;
  readonly indices: Int32Array;
  readonly values: Float64Array;
}

/** A sparse matrix from its rows, each a list of [column, value]. */
export function sparseMatrix(
  rows: readonly (readonly (readonly [number, number])[])[],
  columns: number,
): SparseMatrix {
  const starts = new Int32Array(rows.length + 1);
  rows.forEach((row, i) => {
    starts[i + 1] = starts[i]! + row.length;
  });
  const entries = rows.flat();
  return {
    rows: rows.length,
    columns,
    starts,
    indices: Int32Array.from(entries, ([column]) => column),
    values: Float64Array.from(entries, ([, value]) => value),
  };
}

/**
 * U·S of the truncated singular value decomposition M ≈ U·S·Vᵀ: the rows of M in the `dims`
 * directions that preserve most of M. V comes from MᵀM by randomized subspace iteration (Halko,
 * Martinsson & Tropp 2011), and U·S = M·V.
 * @returns row-major, matrix.rows × dims; columns beyond the rank of M are zero
 */
export function truncatedSvdScores(matrix: SparseMatrix, dims: number, random: Random): Float64Array {
  const scores = new Float64Array(matrix.rows * dims);
  const count = Math.min(dims, matrix.columns);
  if (count === 0) return scores;
  const image = new Float64Array(matrix.rows);
  const applyGram = (v: Float64Array, out: Float64Array) => {
    multiply(matrix, v, image);
    multiplyTransposed(matrix, image, out);
  };
  const directions = leadingEigenvectors(applyGram, matrix.columns, count, random);
  for (let k = 0; k < count; k++) {
    multiply(matrix, directions.values.subarray(k * matrix.columns, (k + 1) * matrix.columns), image);
    for (let i = 0; i < matrix.rows; i++) scores[i * dims + k] = image[i]!;
  }
  return scores;
}

/** out = M·v. */
function multiply({ rows, starts, indices, values }: SparseMatrix, v: Float64Array, out: Float64Array): void {
  for (let i = 0; i < rows; i++) {
    let sum = 0;
    for (let k = starts[i]!; k < starts[i + 1]!; k++) sum += values[k]! * v[indices[k]!]!;
    out[i] = sum;
  }
}

/** out = Mᵀ·u. */
function multiplyTransposed(matrix: SparseMatrix, u: Float64Array, out: Float64Array): void {
  const { rows, starts, indices, values } = matrix;
  out.fill(0);
  for (let i = 0; i < rows; i++) {
    const ui = u[i]!;
    for (let k = starts[i]!; k < starts[i + 1]!; k++) out[indices[k]!]! += values[k]! * ui;
  }
}
