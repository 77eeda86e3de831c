import { type MatrixView, multiplyTransposed } from './matrix-product.ts';

/** A regression problem: `count` items and the targets of their personalised embeddings. */
export interface RegressionBatch {
  readonly count: number;
  /** X, count×d, row-major. */
  readonly items: Float64Array;
  /** X − T, each item minus its target; count×d, row-major. */
  readonly gaps: Float64Array;
}

/** A LoRA adapter in float64: A is r×d and B is d×r, both row-major. */
export interface AdapterMatrices {
  readonly rank: number;
  readonly scale: number;
  readonly a: Float64Array;
  readonly b: Float64Array;
}

/** A gradient: ∂loss/∂A, r×d, and ∂loss/∂B, d×r. */
export interface Gradient {
  readonly a: Float64Array;
  readonly b: Float64Array;
}

/**
 * Mean over the batch of ½|x + sBAx − t|², and its exact gradient. With z = sAx and e = x + Bz − t:
 * ∂/∂B = mean(e·zᵀ), ∂/∂A = mean(s·Bᵀe·xᵀ).
 * @param out overwritten with the gradient
 * @returns the loss
 */
export function regressionGradient(
  { rank, scale, a, b }: AdapterMatrices,
  { count, items, gaps }: RegressionBatch,
  out: Gradient,
): number {
  const d = b.length / rank;
  const x = rows(items, d);
  const latent = new Float64Array(count * rank);
  multiplyTransposed(x, rows(a, d), count, rank, d, scale, latent);

  const residual = new Float64Array(count * d);
  multiplyTransposed(rows(latent, rank), rows(b, rank), count, d, rank, 1, residual);
  let squares = 0;
  for (let i = 0; i < residual.length; i++) {
    const e = residual[i]! + gaps[i]!;
    residual[i] = e;
    squares += e * e;
  }

  const e = rows(residual, d);
  multiplyTransposed(transposed(e), transposed(rows(latent, rank)), d, rank, count, 1 / count, out.b);

  const back = new Float64Array(count * rank);
  multiplyTransposed(e, transposed(rows(b, rank)), count, rank, d, scale / count, back);
  multiplyTransposed(transposed(rows(back, rank)), transposed(x), rank, d, count, 1, out.a);
  return squares / (2 * count);
}

function rows(values: Float64Array, columns: number): MatrixView {
  return { values, row: columns, step: 1 };
}

function transposed({ values, row, step }: MatrixView): MatrixView {
  return { values, row: step, step: row };
}
