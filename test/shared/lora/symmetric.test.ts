import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  addOuterProduct,
  cholesky,
  choleskyInverse,
  choleskyLogDeterminant,
  choleskySolve,
  dot,
  multiply,
  packedDiagonal,
  packedLength,
  traceOfProduct,
} from '../../../shared/lora/symmetric.ts';
import {
  type Dense,
  difference,
  identity,
  invert,
  outer,
  pack,
  plus,
  product,
  range,
  times,
  transpose,
  unpack,
} from './dense.ts';

const entry = fc.double({ min: -3, max: 3, noNaN: true });
const square = (n: number) =>
  fc.array(fc.array(entry, { minLength: n, maxLength: n }), { minLength: n, maxLength: n });
const vector = (n: number) => fc.array(entry, { minLength: n, maxLength: n });
const order = fc.integer({ min: 1, max: 7 });
const symmetric = (m: Dense): Dense => plus(m, transpose(m));
const positiveDefinite = (m: Dense): Dense => plus(product(m, transpose(m)), identity(m.length, 0.5));

describe('packed symmetric matrices', () => {
  it('have an order that follows from their length', () => {
    expect(range(6).map(packedLength)).toEqual([0, 1, 3, 6, 10, 15]);
  });

  it('put a diagonal on the diagonal', () => {
    expect(unpack(packedDiagonal([1, 2, 3]), 3)).toEqual([
      [1, 0, 0],
      [0, 2, 0],
      [0, 0, 3],
    ]);
  });

  it('multiply, trace and add outer products as dense ones do', () => {
    fc.assert(
      fc.property(
        order.chain((n) => fc.tuple(square(n), square(n), vector(n), entry)),
        ([m, other, v, weight]) => {
          const p = symmetric(m);
          const q = symmetric(other);
          expect(difference(multiply(pack(p), Float64Array.from(v)), times(p, v))).toBeLessThan(1e-12);
          const trace = product(p, q).reduce((sum, row, i) => sum + row[i]!, 0);
          expect(difference([traceOfProduct(pack(p), pack(q), v.length)], [trace])).toBeLessThan(1e-12);
          const sum = pack(p);
          addOuterProduct(sum, Float64Array.from(v), weight);
          expect(difference(sum, pack(plus(p, outer(v, v), weight)))).toBeLessThan(1e-12);
          addOuterProduct(sum, Float64Array.from(v));
          expect(difference(sum, pack(plus(p, outer(v, v), weight + 1)))).toBeLessThan(1e-12);
        },
      ),
    );
  });

  it('solve, invert and take determinants as Gauss–Jordan elimination does', () => {
    fc.assert(
      fc.property(
        order.chain((n) => fc.tuple(square(n), vector(n))),
        ([m, v]) => {
          const p = positiveDefinite(m);
          const n = v.length;
          const { inverse, determinant } = invert(p);
          const l = cholesky(pack(p), n)!;
          expect(difference(choleskySolve(l, Float64Array.from(v)), times(inverse, v))).toBeLessThan(1e-9);
          expect(difference(choleskyInverse(l, n), pack(inverse))).toBeLessThan(1e-9);
          expect(choleskyLogDeterminant(l, n)).toBeCloseTo(Math.log(determinant), 8);
        },
      ),
    );
  });

  it('factor into a lower triangle L with L·Lᵀ equal to the matrix', () => {
    const p = [
      [4, 2],
      [2, 10],
    ];
    expect([...cholesky(pack(p), 2)!]).toEqual([2, 1, 3]);
  });

  it('have no factor unless positive definite, and are left as they were', () => {
    for (const p of [
      [[0]],
      [[-1]],
      [
        [1, 2],
        [2, 1],
      ],
      [
        [1, 1],
        [1, 1],
      ],
      [[Number.NaN]],
    ]) {
      const packed = pack(p);
      expect(cholesky(packed, p.length)).toBeUndefined();
      expect([...packed]).toEqual([...pack(p)]);
    }
  });

  it('take the dot product of vectors of any kind', () => {
    expect(dot([1, 2, 3], Float32Array.of(4, 5, 6))).toBe(32);
    expect(dot([], [])).toBe(0);
  });
});
