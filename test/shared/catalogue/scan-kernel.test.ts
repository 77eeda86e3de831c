import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LoadedShard } from '../../../shared/catalogue/catalogue-reader.ts';
import { quantise } from '../../../shared/catalogue/features.ts';
import { type LinearScorer, topItems } from '../../../shared/catalogue/scan.ts';
import { HEAD_COLUMNS, KERNEL_COLUMNS } from '../../../shared/catalogue/scan-code.ts';
import { scanKernel, unpackRow } from '../../../shared/catalogue/scan-kernel.ts';
import { createRandom } from '../../../shared/lora/random.ts';

const kernel = scanKernel!;

test('the kernel runs where the tests run', () => {
  expect(scanKernel).not.toBeNull();
});

/**
 * Σ over some columns of weight·⌊v/256⌋ and of weight·(v mod 256), of which the kernel makes its
 * sums.
 */
function sumsOf(values: ArrayLike<number>, row: number, weights: ArrayLike<number>, columns: number) {
  let [high, low] = [0, 0];
  for (let j = 0; j < columns; j++) {
    const value = values[row * KERNEL_COLUMNS + j]!;
    high += weights[j]! * Math.floor(value / 256);
    low += weights[j]! * (value & 255);
  }
  return { high, low };
}

const int16 = fc.integer({ min: -32_767, max: 32_767 });
const ofRows = (rows: number, number: fc.Arbitrary<number>) =>
  fc.array(number, { minLength: rows * KERNEL_COLUMNS, maxLength: rows * KERNEL_COLUMNS });
const shardOf = fc
  .integer({ min: 1, max: 21 })
  .chain((rows) => fc.record({ rows: fc.constant(rows), numbers: ofRows(rows, int16) }));
const scales = Float64Array.from({ length: KERNEL_COLUMNS }, (_, j) => 1 / (1 + j));

test('the kernel finds the rows that may reach the floor, with their sums', () => {
  fc.assert(
    fc.property(
      shardOf,
      ofRows(1, int16),
      fc.double({ min: -1e9, max: 1e9, noNaN: true }),
      fc.boolean(),
      fc.integer({ min: 1, max: 5 }),
      ({ rows, numbers }, weights, floor, withEffects, every) => {
        const values = Int16Array.from(numbers);
        const features = kernel.adopt({ values, scales })!;
        const effects = withEffects ? Float64Array.from({ length: rows }, (_, i) => i * 1e7) : null;
        const selected =
          every === 1 ? null : Uint8Array.from({ length: rows }, (_, i) => Number(i % every > 0));
        kernel.setWeights(Int16Array.from(weights));
        kernel.setEffects(effects);
        kernel.setSelection(selected);
        const unit = 1_000;
        const floors = [floor, floor, floor + 1e6] as const;
        const count = kernel.scan(features, 0, rows, { step: 1, unit, floors });
        const found = new Map<number, object>();
        for (let i = 0; i < count; i++) {
          const [row, high, low] = kernel.found.subarray(3 * i);
          found.set(row!, { high, low });
        }
        for (let row = 0; row < rows; row++) {
          const effect = effects?.[row] ?? 0;
          const sums = sumsOf(values, row, weights, KERNEL_COLUMNS);
          const tail = values.subarray(row * KERNEL_COLUMNS + HEAD_COLUMNS, (row + 1) * KERNEL_COLUMNS);
          const length = Math.hypot(...Array.from(tail, (value, j) => value * scales[HEAD_COLUMNS + j]!));
          const reached = [
            sumsOf(values, row, weights, HEAD_COLUMNS).high + effect + unit * (length / features.lengthUnit),
            sums.high + effect,
            sums.high + sums.low / 256 + effect,
          ];
          // Near a floor, float32 may decide either way.
          const slack = (value: number) => 1e-5 * (1e9 + Math.abs(value)) + 2 * unit;
          if (reached.some((value, i) => Math.abs(value - floors[i]!) < slack(value))) continue;
          const expected = selected?.[row] !== 0 && reached.every((value, i) => value >= floors[i]!);
          expect(found.get(row)).toEqual(expected ? sums : undefined);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test('the kernel adds up the largest possible sums without overflow', () => {
  for (const sign of [1, -1]) {
    const values = new Int16Array(KERNEL_COLUMNS).fill(sign * 32_767);
    const features = kernel.adopt({ values, scales })!;
    const weights = new Int16Array(KERNEL_COLUMNS).fill(32_767);
    kernel.setWeights(weights);
    kernel.setEffects(null);
    kernel.setSelection(null);
    const floor = Number.NEGATIVE_INFINITY;
    const floors = [floor, floor, floor] as const;
    expect(kernel.scan(features, 0, 1, { step: 1, unit: 1, floors })).toBe(1);
    const { high, low } = sumsOf(values, 0, weights, KERNEL_COLUMNS);
    expect([...kernel.found.subarray(1, 3)]).toEqual([high, low]);
  }
});

test('adopted features keep their numbers while other shards are adopted and the memory grows', () => {
  const random = createRandom('adopt');
  const valuesOf = (rows: number) =>
    Int16Array.from({ length: rows * KERNEL_COLUMNS }, () => random.integer(65_535) - 32_767);
  const all = Array.from({ length: 12 }, (_, i) => valuesOf(1 + 331 * i));
  const adopted = all.map((values) => kernel.adopt({ values, scales })!);
  const out = new Float64Array(KERNEL_COLUMNS);
  adopted.forEach((features, i) => {
    for (let row = 0; row < features.rows; row++) {
      unpackRow(features, row, out);
      const expected = all[i]!.subarray(row * KERNEL_COLUMNS, (row + 1) * KERNEL_COLUMNS);
      expect([...out]).toEqual([...expected]);
    }
  });
});

test('the kernel skips features of fewer columns, and shards without items', () => {
  expect(kernel.adopt({ values: new Int16Array(64), scales: new Float64Array(32) })).toBeUndefined();
  expect(kernel.adopt({ values: new Int16Array(0), scales })).toBeUndefined();
});

describe('the scan with the kernel', () => {
  const random = createRandom('scan kernel');

  /** Shards whose rows are alike enough for near ties. */
  function shards(counts: readonly number[], spread: number): LoadedShard[] {
    return counts.map((count, bucket) => {
      const exact = Float64Array.from({ length: count * KERNEL_COLUMNS }, (_, i) => {
        const column = i % KERNEL_COLUMNS;
        return (0.05 + spread * random.normal()) / (1 + column);
      });
      const { values, scales } = quantise(exact, KERNEL_COLUMNS);
      const ids = Array.from({ length: count }, (_, row) => Buffer.from(`${bucket}-${row}`));
      const ends = new Uint32Array(count);
      ids.forEach((id, i) => {
        ends[i] = (ends[i - 1] ?? 0) + id.length;
      });
      return {
        name: `shard ${bucket}`,
        bucket,
        keys: new BigUint64Array(count),
        idBytes: new Uint8Array(Buffer.concat(ids)),
        idEnds: ends,
        attributeBytes: new Uint8Array(),
        available: null,
        features: kernel.adopt({ values, scales })!,
      };
    });
  }

  test('gives the same items, numbers and order as without it, whatever the user, effects and selection', () => {
    const catalogues = [0.05, 1e-4, 0].map((spread) => ({ shards: shards([301, 1_000, 3, 1_100], spread) }));
    const coefficient = fc.oneof(
      fc.double({ min: -5, max: 5, noNaN: true }),
      fc.constantFrom(0, 1e-12, -1e-12, 1e6),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...catalogues),
        fc.array(coefficient, { minLength: KERNEL_COLUMNS, maxLength: KERNEL_COLUMNS }),
        fc.integer({ min: 1, max: 200 }),
        fc.boolean(),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 0, max: 300 }),
        (catalogue, m, limit, withEffects, every, excluded) => {
          const scorer: LinearScorer = {
            base: 0.6,
            coefficients: Float64Array.from(m),
            effects: withEffects
              ? catalogue.shards.map(({ keys }) => Float64Array.from(keys, (_, row) => (row % 5) / 50))
              : null,
          };
          const selection = catalogue.shards.map(({ keys }) => ({
            admitted: every === 1 ? null : Uint8Array.from(keys, (_, row) => Number(row % every !== 0)),
            excluded: excluded === 0 ? null : new Set(Array.from({ length: excluded }, (_, i) => 7 * i)),
          }));
          const plain = topItems(catalogue, scorer, selection, limit, null);
          expect(topItems(catalogue, scorer, selection, limit)).toEqual(plain);
        },
      ),
      { numRuns: 300 },
    );
  });
});
