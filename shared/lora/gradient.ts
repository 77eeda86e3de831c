import { type MatrixView, multiplyTransposed } from './matrix-product.ts';

/** What to regress on: `count` items and where their personalised embeddings should be. */
export interface RegressionBatch {
  readonly count: number;
  /** X, count×d, row-major. */
  readonly items: Float64Array;
  /** T, count×d, row-major. */
  readonly targets: Float64Array;
}

/** A LoRA adapter in float64: A is r×d and B is d×r, both row-major. */
export interface AdapterMatrices {
  readonly rank: number;
  readonly scale: number;
  readonly a: Float64Array;
  readonly b: Float64Array;
}

/** ∂loss/∂A, r×d, and ∂loss/∂B, d×r. */
export interface Gradient {
  readonly loss: number;
  readonly a: Float64Array;
  readonly b: Float64Array;
}

/**
 * Mean over the batch of ½|x + sBAx − t|², and its exact gradient. With z = sAx and e = x + Bz − t:
 * ∂/∂B = mean(e·zᵀ), ∂/∂A = mean(s·Bᵀe·xᵀ).
 */
export function regressionGradient({ rank, scale, a, b }: AdapterMatrices, batch: RegressionBatch): Gradient {
  const { count, items, targets } = batch;
  const d = b.length / rank;
  const x = rows(items, d);
  const latent = new Float64Array(count * rank);
  multiplyTransposed(x, rows(a, d), count, rank, d, scale, latent);

  const residual = new Float64Array(count * d);
  multiplyTransposed(rows(latent, rank), rows(b, rank), count, d, rank, 1, residual);
  let squares = 0;
  for (let i = 0; i < residual.length; i++) {
    const e = residual[i]! + items[i]! - targets[i]!;
    residual[i] = e;
    squares += e * e;
  }

  const e = rows(residual, d);
  const gradientB = new Float64Array(d * rank);
  multiplyTransposed(transposed(e), transposed(rows(latent, rank)), d, rank, count, 1 / count, gradientB);

  const back = new Float64Array(count * rank);
  multiplyTransposed(e, transposed(rows(b, rank)), count, rank, d, scale / count, back);
  const gradientA = new Float64Array(rank * d);
  multiplyTransposed(transposed(rows(back, rank)), transposed(x), rank, d, count, 1, gradientA);
  return { loss: squares / (2 * count), a: gradientA, b: gradientB };
}

function rows(values: Float64Array, columns: number): MatrixView {
  return { values, row: columns, step: 1 };
}

function transposed({ values, row, step }: MatrixView): MatrixView {
  return { values, row: step, step: row };
}
