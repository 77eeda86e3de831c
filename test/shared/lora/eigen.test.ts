import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { leadingEigenvectors, orthonormalizeRows, symmetricEigen } from '../../../shared/lora/eigen.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { type Dense, difference, identity, plus, product, range, times, toRows, transpose } from './dense.ts';

const entry = fc.double({ min: -3, max: 3, noNaN: true });
const matrix = fc
  .integer({ min: 1, max: 7 })
  .chain((n) => fc.array(fc.array(entry, { minLength: n, maxLength: n }), { minLength: n, maxLength: n }));
const operator = (p: Dense) => (v: Float64Array, out: Float64Array) => out.set(times(p, [...v]));

describe('symmetricEigen', () => {
  it('finds orthonormal eigenvectors with eigenvalues in descending order', () => {
    fc.assert(
      fc.property(matrix, (m) => {
        const p = plus(m, transpose(m));
        const n = p.length;
        const flat = Float64Array.from(p.flat());
        const { values, vectors } = symmetricEigen(flat, n);
        expect([...flat]).toEqual(p.flat());
        expect([...values]).toEqual([...values].sort((a, b) => b - a));
        expect(vectors).toMatchObject({ rows: n, columns: n });
        const v = toRows(vectors.values, n);
        expect(difference(product(v, transpose(v)).flat(), identity(n).flat())).toBeLessThan(1e-12);
        const scaled = v.map((row, k) => row.map((value) => value * values[k]!));
        expect(difference(transpose(product(p, transpose(v))).flat(), scaled.flat())).toBeLessThan(1e-11);
      }),
    );
  });

  it('takes a zero matrix', () => {
    const { values, vectors } = symmetricEigen(new Float64Array(9), 3);
    expect([...values]).toEqual([0, 0, 0]);
    expect([...vectors.values]).toEqual(identity(3).flat());
  });
});

describe('leadingEigenvectors', () => {
  // Eigenvalues 2^-k in a random orthonormal frame of dimension 40.
  const n = 40;
  const random = createRandom('frame');
  const frame = range(n).map(() => Float64Array.from({ length: n }, () => random.normal()));
  orthonormalizeRows(frame, random);
  const p = product(
    transpose(frame.map((row) => [...row])),
    frame.map((row, k) => [...row].map((value) => value * 2 ** -k)),
  );

  it('finds the leading ones, largest element positive', () => {
    const found = leadingEigenvectors(operator(p), n, 6, createRandom('seed'));
    expect(found).toMatchObject({ rows: 6, columns: n });
    for (const [k, row] of toRows(found.values, n).entries()) {
      const expected = [...frame[k]!];
      const peak = expected.reduce((best, value) => (Math.abs(value) > Math.abs(best) ? value : best), 0);
      expect(
        difference(
          row,
          expected.map((value) => value * Math.sign(peak)),
        ),
      ).toBeLessThan(1e-6);
    }
  });

  it('finds the same ones by every seed, and takes more iterations when asked', () => {
    const one = leadingEigenvectors(operator(p), n, 6, createRandom(1)).values;
    expect(difference(leadingEigenvectors(operator(p), n, 6, createRandom(2)).values, one)).toBeLessThan(
      1e-6,
    );
    const rough = leadingEigenvectors(operator(p), n, 6, createRandom(2), 0).values;
    expect(difference(rough, one)).toBeGreaterThan(1e-6);
  });

  it('finds all eigenvectors of a small operator, and no more', () => {
    const small = [
      [2, 0],
      [0, 3],
    ];
    expect(
      difference(leadingEigenvectors(operator(small), 2, 2, createRandom(1)).values, [0, 1, 1, 0]),
    ).toBeLessThan(1e-12);
    const padded = leadingEigenvectors(operator(small), 2, 4, createRandom(1));
    expect(padded.rows).toBe(4);
    expect(difference(padded.values, [0, 1, 1, 0, 0, 0, 0, 0])).toBeLessThan(1e-12);
  });
});

describe('orthonormalizeRows', () => {
  it('replaces rows that depend on earlier ones', () => {
    const rows = [Float64Array.of(1, 1, 0), Float64Array.of(2, 2, 0), Float64Array.of(0, 0, 0)];
    orthonormalizeRows(rows, createRandom('dependent'));
    const dense = rows.map((row) => [...row]);
    expect(difference(product(dense, transpose(dense)).flat(), identity(3).flat())).toBeLessThan(1e-14);
    expect(difference(dense[0]!, [Math.SQRT1_2, Math.SQRT1_2, 0])).toBeLessThan(1e-15);
  });

  it('refuses more rows than dimensions', () => {
    const rows = [Float64Array.of(1), Float64Array.of(1)];
    expect(() => orthonormalizeRows(rows, createRandom('many'))).toThrow(
      'cannot make 2 orthonormal rows of length 1',
    );
  });
});
