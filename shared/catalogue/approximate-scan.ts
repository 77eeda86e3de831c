import type { ShardFeatures } from './features.ts';
import { KERNEL_COLUMNS, MAX_WEIGHT_SUM, type ScanKernel } from './scan-kernel.ts';

const LARGEST_VALUE = 32_767;

/**
 * Approximate ψ·m of every row of a shard: value[row]·step, with an absolute error of at most
 * `error`.
 */
export interface Approximation {
  /** Valid until the next scan. */
  readonly values: Int32Array;
  readonly step: number;
  readonly error: number;
}

/**
 * Rounds the weights to integers whose sum of magnitudes is 65,000, so that sums of products fit
 * into 32 bits. The rounding of a weight changes a score by at most 32,767 times its error, which
 * gives a guaranteed bound.
 * @param weights of the stored values: coefficient times scale of the column
 * @returns undefined when the kernel cannot scan these features, or all weights are 0
 */
export function approximate(
  kernel: ScanKernel | null,
  { values }: ShardFeatures,
  weights: Float64Array,
): Approximation | undefined {
  if (kernel === null || weights.length !== KERNEL_COLUMNS || !kernel.holds(values)) return undefined;
  let magnitude = 0;
  for (const weight of weights) magnitude += Math.abs(weight);
  // Rounding may add half a step to each weight.
  const step = magnitude / (MAX_WEIGHT_SUM - KERNEL_COLUMNS);
  if (!(step > 0 && Number.isFinite(step))) return undefined;
  const rounded = Int16Array.from(weights, (weight) => Math.round(weight / step));
  let error = 0;
  weights.forEach((weight, j) => {
    error += Math.abs(weight - rounded[j]! * step);
  });
  return {
    values: kernel.dots(values, rounded),
    step,
    // The second term is far above the float64 error of the exact score.
    error: LARGEST_VALUE * (error + 1e-12 * magnitude),
  };
}
