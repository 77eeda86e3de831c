import type { Candidates } from './candidates.ts';
import { HEAD_COLUMNS, KERNEL_COLUMNS, LANES, MAX_BLOCK_ROWS } from './scan-code.ts';
import type { PackedFeatures, ScanKernel } from './scan-kernel.ts';
import type { SelectedRows } from './selected-rows.ts';

const MIN_BLOCK_ROWS = 128;
const LARGEST_WEIGHT = 32_767;
/** The largest magnitude of h, and the largest distance of l from its middle, 128. */
const HIGH = 128;
const LOW = 128;
/** Above the float32 error of the kernel's few operations, relative to their operands. */
const FLOAT32_ERROR = 1e-6;

interface Part {
  /** Average error of the sum of some columns, because the kernel does not read l. */
  readonly middle: number;
  /** Largest deviation of that error from its average. */
  readonly error: number;
}

/**
 * How to compute scores from the kernel's sums: ψ·m = step·Σq·h + middle = step·Σq·(h + l/256),
 * each with its error bound.
 */
export interface Approximation {
  readonly rounded: Int16Array;
  readonly step: number;
  readonly first: Part;
  readonly high: Part;
  /** Error bound of step·Σq·(h + l/256). */
  readonly error: number;
  /** The largest |step·Σq·h|. */
  readonly largest: number;
}

/**
 * Rounds the weights to 16 bits. The errors of this rounding and of the columns that the kernel
 * does not read have strict bounds, so the scan stays exact.
 * @param weights of the stored values: coefficient times scale of the column
 * @returns undefined where numbers are too large or too small for float64
 */
export function approximate(weights: Float64Array): Approximation | undefined {
  let most = 0;
  for (let j = 0; j < KERNEL_COLUMNS; j++) most = Math.max(most, Math.abs(weights[j]!));
  const step = (256 * most) / LARGEST_WEIGHT;
  if (!(step > 1e-300 && Number.isFinite(step * LARGEST_WEIGHT * KERNEL_COLUMNS * HIGH))) return undefined;
  const rounded = new Int16Array(KERNEL_COLUMNS);
  const perStep = LARGEST_WEIGHT / most;
  const sums = { sum: 0, magnitude: 0, lost: 0, steps: 0 };
  addWeights(weights, perStep, step, rounded, 0, HEAD_COLUMNS, sums);
  const first = partOf(sums);
  addWeights(weights, perStep, step, rounded, HEAD_COLUMNS, KERNEL_COLUMNS, sums);
  const high = partOf(sums);
  return { rounded, step, first, high, error: errorOf(sums), largest: step * sums.steps * HIGH };
}

/** Sums over some weights: of them, of their magnitudes, of what rounding changes, and of steps. */
interface WeightSums {
  sum: number;
  magnitude: number;
  lost: number;
  steps: number;
}

function addWeights(
  weights: Float64Array,
  perStep: number,
  step: number,
  rounded: Int16Array,
  from: number,
  to: number,
  sums: WeightSums,
): void {
  let { sum, magnitude, lost, steps } = sums;
  for (let j = from; j < to; j++) {
    const weight = weights[j]!;
    const q = Math.round(weight * perStep);
    rounded[j] = q;
    sum += weight;
    magnitude += Math.abs(weight);
    lost += Math.abs(256 * weight - q * step);
    steps += Math.abs(q);
  }
  sums.sum = sum;
  sums.magnitude = magnitude;
  sums.lost = lost;
  sums.steps = steps;
}

function errorOf({ lost, magnitude }: WeightSums): number {
  // The last summand is far larger than the float64 error of the exact score.
  return HIGH * lost + 1e-6 * magnitude;
}

function partOf(sums: WeightSums): Part {
  return { middle: LOW * sums.sum, error: errorOf(sums) + LOW * sums.magnitude };
}

/** Length of m without the first columns, for {@link ScannedShard.tail}. */
export function tailOf(coefficients: Float64Array): number {
  let square = 0;
  for (let j = HEAD_COLUMNS; j < coefficients.length; j++) square += coefficients[j]! ** 2;
  return Math.sqrt(square) * (1 + 1e-12);
}

/** One shard of a scan. */
export interface ScannedShard {
  readonly shard: number;
  readonly features: PackedFeatures;
  /** Length of m without the first columns. */
  readonly tail: number;
  readonly base: number;
  readonly effects: Float64Array | null;
  readonly selected: SelectedRows;
}

/** Offers the rows of a shard that may be among the best. */
export function scanShard(
  kernel: ScanKernel,
  { rounded, step, first, high, error, largest }: Approximation,
  { shard, features, tail, base, effects, selected }: ScannedShard,
  candidates: Candidates,
): void {
  const { rows, lengthUnit } = features;
  const { admitted, excluded } = selected;
  kernel.setWeights(rounded);
  kernel.setEffects(effects);
  kernel.setSelection(admitted);
  const unit = tail * lengthUnit;
  const middles = Math.abs(first.middle) + Math.abs(high.middle);
  const margin = FLOAT32_ERROR * (largest + 255 * unit + largestOf(effects) + Math.abs(base) + middles);
  for (let from = 0, to = 0; from < rows; from = to) {
    // The floor may rise after every block, quickly at first.
    to =
      from +
      Math.min(MAX_BLOCK_ROWS, LANES * Math.ceil(Math.max(MIN_BLOCK_ROWS, candidates.scanned) / LANES));
    const floor = candidates.floor - base;
    const slack = margin + (Number.isFinite(floor) ? FLOAT32_ERROR * Math.abs(floor) : 0);
    const floors = [
      floor - first.middle - first.error - slack,
      floor - high.middle - high.error - slack,
      floor - error - slack,
    ] as const;
    const count = kernel.scan(features, from, to, { step, unit, floors });
    candidates.scanned += Math.min(rows, to) - from;
    for (let i = 0, at = 0; i < count; i++, at += 3) {
      const row = kernel.found[at]!;
      if (excluded?.has(row)) continue;
      const own = step * (kernel.found[at + 1]! + kernel.found[at + 2]! / 256);
      candidates.offer(shard, row, base + own + (effects === null ? 0 : effects[row]!), error);
    }
  }
}

/** Effects belong to a catalogue and change with it, so many queries share this result. */
const knownLargest = new WeakMap<Float64Array, number>();

function largestOf(effects: Float64Array | null): number {
  if (effects === null) return 0;
  let largest = knownLargest.get(effects);
  if (largest === undefined) {
    largest = effects.reduce((most, effect) => Math.max(most, Math.abs(effect)), 0);
    knownLargest.set(effects, largest);
  }
  return largest;
}
