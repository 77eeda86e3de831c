import { instantiate, PAGE } from '../wasm-module.ts';
import type { ShardFeatures } from './features.ts';
import { KernelMemory } from './kernel-memory.ts';
import {
  EFFECTS,
  FOUND,
  FOUND_BYTES,
  HEAD_COLUMNS,
  KERNEL_COLUMNS,
  LANES,
  MAX_BLOCK_ROWS,
  MAX_ROWS,
  RESERVED_PAGES,
  SELECTION,
  scanFunction,
  TAIL_COLUMNS,
  WEIGHTS,
} from './scan-code.ts';

/**
 * The scan's inner loop in WebAssembly SIMD. A feature of 16 bits, v = 256·h + l, is kept in two
 * parts. The kernel reads h of the first columns, which differ most between items, for every item.
 * It reads h of the other columns only for items that can still be among the best, by the
 * Cauchy–Schwarz inequality on the length of their other part, and l only for those that can still
 * be after that. Where WebAssembly SIMD is missing, {@link scanKernel} is null, and the scan runs
 * without it.
 */
export interface ScanKernel {
  /** The features in the kernel's memory; undefined when they do not fit. */
  adopt(features: ShardFeatures): PackedFeatures | undefined;
  /**
   * Finds rows of a shard whose products with the weights may reach the floors, and puts them into
   * {@link ScanKernel.found}. Effects and selection of the shard must be set before.
   * @param from a multiple of 8
   * @param to exclusive; at most {@link MAX_BLOCK_ROWS} later
   * @returns the number of rows found
   */
  scan(features: PackedFeatures, from: number, to: number, query: KernelQuery): number;
  /** Sets the weights q for {@link scan}. They stay until the next call. */
  setWeights(weights: Int16Array): void;
  /** Sets the items' own scores for the next scans of a shard, row by row; null when all are 0. */
  setEffects(effects: Float64Array | null): void;
  /**
   * Sets the rows to scan in the next scans of a shard: one byte per row, 0 to leave it out; null
   * scans all.
   */
  setSelection(selected: Uint8Array | null): void;
  /** For each row found: its number, Σq·h and Σq·l. Valid until the next scan. */
  readonly found: Int32Array;
}

/** The least score of an item, without the base. */
export interface KernelQuery {
  /** The score of one unit of Σq·h. */
  readonly step: number;
  /** Largest score of one unit of length of the other columns. */
  readonly unit: number;
  /** Floors of the sums of h of the first columns, of h of all columns, and of h and l. */
  readonly floors: readonly [number, number, number];
}

/** Features of a shard, where the kernel reads them. */
export interface PackedFeatures {
  readonly rows: number;
  /** ψ[i][j] = (256·h + l)·scales[j]; length 64. */
  readonly scales: Float64Array;
  /**
   * Addresses in the kernel's memory: h of the first columns, h of the others, l, and the lengths
   * of the others.
   */
  readonly bytes: Uint8Array;
  /** The value of one unit of a stored length. */
  readonly lengthUnit: number;
}

const LARGEST_LENGTH = 255;

type Scan = (
  head: number,
  tail: number,
  low: number,
  lengths: number,
  row: number,
  end: number,
  step: number,
  stepOfLow: number,
  unit: number,
  ...floors: readonly [number, number, number]
) => number;

function createKernel(): ScanKernel | null {
  const instance = instantiate<{ readonly scan: Scan }>(RESERVED_PAGES, [scanFunction]);
  if (instance === null) return null;
  const { memory, run } = instance;
  const places = new KernelMemory(memory, RESERVED_PAGES * PAGE);
  const view = <T>(type: new (buffer: SharedArrayBuffer, offset: number, length: number) => T) => type;
  const headWeights = new (view(Int16Array))(memory.buffer, 0, WEIGHTS / 2);
  const allWeights = new (view(Int16Array))(memory.buffer, WEIGHTS, KERNEL_COLUMNS);
  const found = new (view(Int32Array))(memory.buffer, FOUND, 3 * MAX_BLOCK_ROWS);
  const selection = new (view(Uint8Array))(memory.buffer, SELECTION, MAX_ROWS);
  const effectsOfRows = new (view(Float32Array))(memory.buffer, EFFECTS, MAX_ROWS);
  let areZero = true;
  let admitsAll = false;
  return {
    found,
    adopt: (features) => pack(features, places),
    setWeights(weights) {
      for (let j = 0; j < HEAD_COLUMNS; j++)
        for (let row = 0; row < 4; row++) headWeights[8 * (j >> 1) + 2 * row + (j & 1)] = weights[j]!;
      allWeights.set(weights);
    },
    setEffects(effects) {
      if (effects !== null) effectsOfRows.set(effects);
      else if (!areZero) effectsOfRows.fill(0);
      areZero = effects === null;
    },
    setSelection(selected) {
      if (selected !== null) selection.set(selected);
      else if (!admitsAll) selection.fill(1);
      admitsAll = selected === null;
    },
    scan({ bytes, rows }, row, to, { step, unit, floors }) {
      const { tail, low, lengths } = partsOf(rows);
      const start = bytes.byteOffset;
      const end = run.scan(
        start + row * HEAD_COLUMNS,
        start + tail + row * TAIL_COLUMNS,
        start + low + row * KERNEL_COLUMNS,
        start + lengths + row,
        row,
        Math.min(rows, to),
        step,
        step / 256,
        unit,
        ...floors,
      );
      return (end - FOUND) / FOUND_BYTES;
    },
  };
}

function padded(rows: number): number {
  return LANES * Math.ceil(rows / LANES);
}

/** Addresses of h of the other columns, of l and of the lengths. */
function partsOf(rows: number) {
  const tail = padded(rows) * HEAD_COLUMNS;
  const low = padded(rows) * KERNEL_COLUMNS;
  return { tail, low, lengths: low + padded(rows) * KERNEL_COLUMNS };
}

/**
 * Address of h of the first columns: eight rows by pairs of columns, so that a vector holds one
 * pair of four rows.
 */
function headAt(row: number, column: number): number {
  const inBlock = row % LANES;
  return (row - inBlock) * HEAD_COLUMNS + 16 * (column >> 1) + 2 * inBlock + (column & 1);
}

function pack({ values, scales }: ShardFeatures, places: KernelMemory): PackedFeatures | undefined {
  const rows = values.length / KERNEL_COLUMNS;
  if (scales.length !== KERNEL_COLUMNS || rows > MAX_ROWS || rows === 0) return undefined;
  const bytes = places.allocate(padded(rows) * (2 * KERNEL_COLUMNS + 1));
  if (bytes === undefined) return undefined;
  bytes.fill(0);
  const { tail, low, lengths } = partsOf(rows);
  const ofRows = new Float64Array(rows);
  for (let row = 0, at = 0; row < rows; row++) {
    let square = 0;
    for (let j = 0; j < KERNEL_COLUMNS; j++, at++) {
      const value = values[at]!;
      bytes[low + at] = value & 255;
      bytes[j < HEAD_COLUMNS ? headAt(row, j) : tail + row * TAIL_COLUMNS + j - HEAD_COLUMNS] = value >> 8;
      if (j >= HEAD_COLUMNS) square += (value * scales[j]!) ** 2;
    }
    ofRows[row] = Math.sqrt(square);
  }
  // A little larger, to cover rounding errors.
  const lengthUnit =
    (ofRows.reduce((most, length) => Math.max(most, length), 0) / LARGEST_LENGTH) * (1 + 1e-9);
  if (lengthUnit > 0)
    for (let row = 0; row < rows; row++) bytes[lengths + row] = Math.ceil(ofRows[row]! / lengthUnit);
  return { rows, scales, bytes, lengthUnit };
}

/** Writes the stored numbers of a row, v = 256·h + l, to `out`. */
export function unpackRow({ bytes, rows }: PackedFeatures, row: number, out: Float64Array): void {
  const { tail, low } = partsOf(rows);
  const lowOfRow = low + row * KERNEL_COLUMNS;
  const numberAt = (high: number, j: number) => ((bytes[high]! << 24) >> 16) + bytes[lowOfRow + j]!;
  let j = 0;
  for (let high = headAt(row, 0); j < HEAD_COLUMNS; j += 2, high += 2 * LANES) {
    out[j] = numberAt(high, j);
    out[j + 1] = numberAt(high + 1, j + 1);
  }
  for (let high = tail + row * TAIL_COLUMNS; j < KERNEL_COLUMNS; j++, high++) out[j] = numberAt(high, j);
}

export const scanKernel: ScanKernel | null = createKernel();
