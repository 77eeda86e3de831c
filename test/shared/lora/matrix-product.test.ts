import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { multiplyTransposed } from '../../../shared/lora/matrix-product.ts';
import { difference, product, toRows, transpose } from './dense.ts';
import { cases, createRandom } from './fixtures.ts';

const size = fc.integer({ min: 1, max: 9 });

describe('multiplyTransposed', () => {
  it('is scale·P·Qᵀ for matrices of any size, however they lie in memory', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        size,
        size,
        size,
        fc.boolean(),
        fc.boolean(),
        (seed, m, n, depth, flipP, flipQ) => {
          const random = createRandom(seed);
          const lay = (rows: number, flipped: boolean) => {
            const values = Float64Array.from({ length: rows * depth }, () => random.normal());
            return flipped
              ? { view: { values, row: 1, step: rows }, rows: transpose(toRows(values, rows)) }
              : { view: { values, row: depth, step: 1 }, rows: toRows(values, depth) };
          };
          const p = lay(m, flipP);
          const q = lay(n, flipQ);
          const out = new Float64Array(m * n).fill(Number.NaN);
          multiplyTransposed(p.view, q.view, m, n, depth, 0.5, out);
          const expected = product(p.rows, transpose(q.rows))
            .flat()
            .map((value) => value / 2);
          expect(difference(out, expected)).toBeLessThan(1e-14);
        },
      ),
      cases(1000),
    );
  });
});
