import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../shared/errors.ts';
import {
  batchForward,
  forward,
  type LoraAdapter,
  queryScores,
  userPart,
} from '../../../shared/lora/forward.ts';
import { dot } from '../../../shared/lora/symmetric.ts';
import { difference, range, times, toRows } from './dense.ts';
import { cases, createRandom, vectorOf } from './fixtures.ts';

function adapterOf(random: ReturnType<typeof createRandom>, embeddingDim: number, rank: number): LoraAdapter {
  return {
    basis: { embeddingDim, rank, scale: 0.3 + random.next(), a: vectorOf(random, rank * embeddingDim) },
    b: vectorOf(random, rank * embeddingDim),
    offset: 0.25,
  };
}

function dense({ basis, b }: LoraAdapter, x: ArrayLike<number>): number[] {
  const { a, rank, scale, embeddingDim } = basis!;
  const change = times(toRows(b, rank), times(toRows(a, embeddingDim), Array.from(x)));
  return Array.from(x, (value, i) => value + scale * change[i]!);
}

const nobody: LoraAdapter = { basis: null, b: new Float32Array(0), offset: 0.1 };

describe('an adapter', () => {
  it('gives x + sBAx, its score and the scores of a query as dense matrices do, at any rank and number of items', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.integer({ min: 1, max: 13 }),
        fc.integer({ min: 0, max: 9 }),
        (seed, rank, count) => {
          const random = createRandom(seed);
          const d = 1 + random.integer(20);
          const adapter = adapterOf(random, d, rank);
          const xs = range(count).map(() => vectorOf(random, d));
          const query = vectorOf(random, d);
          const expected = xs.map((x) => dense(adapter, x));
          const batch = batchForward(adapter, xs);
          const scores = queryScores(adapter, query, xs);
          expect([batch.length, scores.length]).toEqual([count, count]);
          for (const [n, x] of xs.entries()) {
            expect(difference(forward(adapter, x), expected[n]!)).toBeLessThan(2e-6);
            expect(difference(batch[n]!, expected[n]!)).toBeLessThan(2e-6);
            const share = dot(x, expected[n]!) / dot(x, x) - 1;
            expect(difference([userPart(adapter, x)], [share + 0.25])).toBeLessThan(1e-6);
            // The folded query is rounded to float32, so cancellation in the sum leaves an error of
            // the size of its terms.
            const terms = range(d).reduce((sum, i) => sum + Math.abs(query[i]! * expected[n]![i]!), 1);
            expect(Math.abs(scores[n]! - dot(query, expected[n]!)) / terms).toBeLessThan(1e-4);
          }
        },
      ),
      cases(1000),
    );
  });

  it('writes into a given vector, even into x itself', () => {
    for (const rank of [3, 4, 8]) {
      const adapter = adapterOf(createRandom(rank), 6, rank);
      const x = vectorOf(createRandom('x'), 6);
      const expected = forward(adapter, x);
      const out = new Float32Array(6).fill(9);
      expect(forward(adapter, x, out)).toBe(out);
      expect(out).toEqual(expected);
      forward(adapter, x, x);
      expect(x).toEqual(expected);
    }
  });

  it('gives batch results that are each their own', () => {
    const adapter = adapterOf(createRandom(1), 6, 4);
    const [x, y] = [vectorOf(createRandom(2), 6), vectorOf(createRandom(3), 6)];
    const [first, second] = batchForward(adapter, [x, y]);
    first!.fill(0);
    expect(difference(second!, dense(adapter, y))).toBeLessThan(1e-6);
  });

  it('gives a zero vector its offset, and a score that does not depend on the length of the item', () => {
    const adapter = adapterOf(createRandom(1), 6, 4);
    expect(userPart(adapter, new Float32Array(6))).toBe(0.25);
    const x = vectorOf(createRandom(2), 6);
    for (const power of [-140, -60, 60, 120]) {
      const scaled = x.map(
        (value) => Math.sign(value) * 2 ** Math.round(Math.log2(Math.abs(value))) * 2 ** power,
      );
      const unit = scaled.map((value) => value * 2 ** -power);
      expect(userPart(adapter, scaled)).toBeCloseTo(userPart(adapter, unit), 10);
    }
  });

  it('without a basis leaves everything as it is', () => {
    const x = Float32Array.of(1, 2);
    expect(forward(nobody, x)).toEqual(x);
    expect(forward(nobody, x)).not.toBe(x);
    expect(batchForward(nobody, [x])[0]).toEqual(x);
    expect(batchForward(nobody, [x])[0]).not.toBe(x);
    expect(userPart(nobody, x)).toBe(0.1);
    expect([...queryScores(nobody, x, [x, Float32Array.of(0, 1)])]).toEqual([5, 2]);
  });

  it('refuses vectors of another length', () => {
    const adapter = adapterOf(createRandom(1), 3, 1);
    const [right, wrong] = [new Float32Array(3), new Float32Array(2)];
    const refused: [string, () => unknown][] = [
      ['embedding: found 2 numbers, expected 3 numbers', () => forward(adapter, wrong)],
      ['out: found 2 numbers, expected 3 numbers', () => forward(adapter, right, wrong)],
      ['embeddings[1]: found 2 numbers', () => batchForward(adapter, [right, wrong])],
      ['embedding: found 2 numbers', () => userPart(adapter, wrong)],
      ['query: found 2 numbers', () => queryScores(adapter, wrong, [])],
      [
        'candidates[1]: found 2 numbers, expected 3 numbers',
        () => queryScores(adapter, right, [right, wrong]),
      ],
      ['candidates[0]: found 3 numbers, expected 2 numbers', () => queryScores(nobody, wrong, [right])],
    ];
    for (const [message, attempt] of refused) {
      expect(attempt).toThrow(InvalidInputError);
      expect(attempt).toThrow(message);
    }
  });
});
