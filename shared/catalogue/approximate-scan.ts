import type { ShardFeatures } from './features.ts';
import { KERNEL_COLUMNS, MAX_WEIGHT_SUM, type ScanKernel } from './scan-kernel.ts';

const LARGEST_VALUE = 32_767;

/** ψ·m of every row of a shard up to a known error: value[row]·step, off by `error` at most. */
export interface Approximation {
  /** Valid until the next one is made. */
  readonly values: Int32Array;
  readonly step: number;
  readonly error: number;
}

/**
 * Rounds the weights to integers whose sum of magnitudes is 65,000, which leaves the sums of products in 32 bits. The rounding of
 * a weight changes a score by at most 32,767 times its error; so the bound is certain, not a guess.
 * @param weights of the stored values: coefficient times scale of the column
 * @returns undefined where the kernel cannot scan these features, or no weight counts
 */
export function approximate(
  kernel: ScanKernel | null,
  { values }: ShardFeatures,
  weights: Float64Array,
): Approximation | undefined {
  if (kernel === null || weights.length !== KERNEL_COLUMNS || !kernel.holds(values)) return undefined;
  let magnitude = 0;
  for (const weight of weights) magnitude += Math.abs(weight);
  // Rounding may add half a step to each of the weights.
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
    // The second part is far more than what float64 loses in the exact score.
    error: LARGEST_VALUE * (error + 1e-12 * magnitude),
  };
}
