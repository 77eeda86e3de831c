import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { LoadedShard } from '../../../shared/catalogue/catalogue-reader.ts';
import { quantise } from '../../../shared/catalogue/features.ts';
import { type LinearScorer, topItems } from '../../../shared/catalogue/scan.ts';
import { KERNEL_COLUMNS, scanKernel } from '../../../shared/catalogue/scan-kernel.ts';
import { createRandom } from '../../../shared/lora/random.ts';

const kernel = scanKernel!;

test('the kernel runs where the tests run', () => {
  expect(scanKernel).not.toBeNull();
});

test('the kernel gives the integer dot product of every row', () => {
  const int16 = fc.integer({ min: -32_767, max: 32_767 });
  const small = fc.integer({ min: -1_015, max: 1_015 });
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 5 }).chain((rows) => {
        const length = rows * KERNEL_COLUMNS;
        return fc.array(int16, { minLength: length, maxLength: length });
      }),
      fc.array(small, { minLength: KERNEL_COLUMNS, maxLength: KERNEL_COLUMNS }),
      (numbers, weights) => {
        const values = kernel.adopt(Int16Array.from(numbers));
        const expected = Array.from({ length: numbers.length / KERNEL_COLUMNS }, (_, row) =>
          weights.reduce((sum, weight, j) => sum + weight * numbers[row * KERNEL_COLUMNS + j]!, 0),
        );
        expect([...kernel.dots(values, Int16Array.from(weights))]).toEqual(expected);
      },
    ),
  );
});

test('the largest sum that the weights allow fits', () => {
  const values = kernel.adopt(new Int16Array(KERNEL_COLUMNS).fill(32_767));
  const weights = new Int16Array(KERNEL_COLUMNS);
  weights[0] = 32_500;
  weights[1] = 32_500;
  expect([...kernel.dots(values, weights)]).toEqual([65_000 * 32_767]);
});

test('adopted arrays keep their values while others are adopted and the memory grows', () => {
  const first = kernel.adopt(new Int16Array(KERNEL_COLUMNS * 3_000).fill(7));
  for (let i = 0; i < 20; i++) kernel.adopt(new Int16Array(KERNEL_COLUMNS * 3_000).fill(i));
  expect(first.every((value) => value === 7)).toBe(true);
  expect(kernel.holds(first)).toBe(true);
  expect(kernel.holds(new Int16Array(KERNEL_COLUMNS))).toBe(false);
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
        features: { values: kernel.adopt(values), scales },
      };
    });
  }

  test('gives the same items, numbers and order as without it, whatever the user, effects and selection', () => {
    const catalogues = [0.05, 1e-4, 0].map((spread) => ({ shards: shards([700, 3, 450], spread) }));
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
        (catalogue, m, limit, withEffects, every) => {
          const scorer: LinearScorer = {
            base: 0.6,
            coefficients: Float64Array.from(m),
            effects: withEffects
              ? catalogue.shards.map(({ keys }) => Float64Array.from(keys, (_, row) => (row % 5) / 50))
              : null,
          };
          const selection = catalogue.shards.map(({ keys }) =>
            every === 1 ? null : Uint8Array.from(keys, (_, row) => Number(row % every !== 0)),
          );
          const plain = topItems(catalogue, scorer, selection, limit, null);
          expect(topItems(catalogue, scorer, selection, limit)).toEqual(plain);
        },
      ),
      { numRuns: 300 },
    );
  });
});
