import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../shared/errors.ts';
import { symmetricEigen } from '../../../shared/lora/eigen.ts';
import { type MergeableAdapter, mergeLora } from '../../../shared/lora/merge.ts';
import { dot } from '../../../shared/lora/symmetric.ts';
import { type Dense, difference, plus, product, range, toRows, transpose } from './dense.ts';
import { cases, createRandom, vectorOf } from './fixtures.ts';

type Random = ReturnType<typeof createRandom>;

function adapterOf(
  random: Random,
  d: number,
  rank: number,
  a = vectorOf(random, rank * d),
): MergeableAdapter {
  const scale = 0.5 + random.next();
  return {
    basis: { embeddingDim: d, rank, scale, a },
    b: vectorOf(random, d * rank),
    offset: random.normal(),
  };
}

/** s·B·A. */
function change({ basis, b }: MergeableAdapter): Dense {
  const { a, rank, scale, embeddingDim } = basis;
  return product(toRows(b, rank), toRows(a, embeddingDim)).map((row) => row.map((value) => scale * value));
}

function mean(adapters: MergeableAdapter[], shares: number[]): Dense {
  return adapters
    .map((adapter, i) => change(adapter).map((row) => row.map((value) => shares[i]! * value)))
    .reduce((p, q) => plus(p, q));
}

const negated = ({ basis, b, offset }: MergeableAdapter): MergeableAdapter => ({
  basis: { ...basis, a: basis.a.map((value) => -value) },
  b: b.map((value) => -value),
  offset,
});

describe('mergeLora', () => {
  it('of (A, B) and (−A, −B) is the same function', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = createRandom(seed);
        const d = 2 + random.integer(9);
        const adapter = adapterOf(random, d, 1 + random.integer(Math.min(4, d)));
        const merged = mergeLora([adapter, negated(adapter)]);
        expect(difference(change(merged).flat(), change(adapter).flat())).toBeLessThan(1e-5);
        expect(merged.offset).toBeCloseTo(adapter.offset, 12);
      }),
      cases(1000),
    );
  });

  it('is the weighted mean itself when A is shared', () => {
    const random = createRandom('shared');
    const first = adapterOf(random, 6, 2);
    const others = [
      first,
      adapterOf(random, 6, 2, first.basis.a.slice()),
      adapterOf(random, 6, 2, first.basis.a),
    ];
    const merged = mergeLora(others, [1, 2, 5]);
    expect(difference(change(merged).flat(), mean(others, [1 / 8, 2 / 8, 5 / 8]).flat())).toBeLessThan(1e-6);
    expect(merged.basis).toBe(first.basis);
    expect(merged.offset).toBeCloseTo(
      dot(
        others.map(({ offset }) => offset),
        [1 / 8, 2 / 8, 5 / 8],
      ),
      12,
    );
  });

  it('does not take two A for one because they begin alike', () => {
    const random = createRandom('alike');
    const first = adapterOf(random, 6, 2);
    const a = first.basis.a.slice();
    a[11] = 5;
    const pair = [first, adapterOf(random, 6, 2, a)];
    const merged = mergeLora(pair);
    expect(
      difference(
        product(toRows(merged.basis.a, 6), transpose(toRows(merged.basis.a, 6))).flat(),
        [1, 0, 0, 1],
      ),
    ).toBeLessThan(1e-6);
  });

  it('is nearest to the weighted mean of the functions when A differs', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = createRandom(seed);
        const adapters = range(3).map(() => adapterOf(random, 8, 2));
        const target = mean(adapters, [0.5, 0.25, 0.25]);
        const merged = mergeLora(adapters, [2, 1, 1]);
        expect(merged.basis).toMatchObject({ rank: 2, embeddingDim: 8, scale: adapters[0]!.basis.scale });
        const rest = plus(target, change(merged), -1).flat();
        // Eckart & Young: the error is given by the singular values beyond the rank.
        const { values } = symmetricEigen(Float64Array.from(product(transpose(target), target).flat()), 8);
        const least = [...values.slice(2)].reduce((sum, value) => sum + Math.max(0, value), 0);
        expect(dot(rest, rest)).toBeLessThan(least * 1.001 + 1e-8);
      }),
    );
  });

  it('of one adapter is that adapter, and of functions that cancel adds nothing', () => {
    const random = createRandom('one');
    const adapter = adapterOf(random, 6, 2);
    expect(mergeLora([adapter])).toEqual(adapter);
    const opposite = { ...adapter, basis: { ...adapter.basis, a: adapter.basis.a.map((value) => -value) } };
    const merged = mergeLora([adapter, opposite]);
    expect(difference(change(merged).flat(), new Array(36).fill(0))).toBeLessThan(1e-6);
  });

  it('takes weights of any size, and a rank above the dimension', () => {
    const random = createRandom('sizes');
    const pair = [adapterOf(random, 6, 2), adapterOf(random, 6, 2)];
    const even = change(mergeLora(pair)).flat();
    for (const weight of [1e-320, 1e308]) {
      expect(difference(change(mergeLora(pair, [weight, weight])).flat(), even)).toBeLessThan(1e-6);
    }
    const wide = [adapterOf(random, 3, 5), adapterOf(random, 3, 5)];
    expect(difference(change(mergeLora(wide)).flat(), mean(wide, [0.5, 0.5]).flat())).toBeLessThan(1e-5);
    expect(mergeLora(pair, [0, 3])).toMatchObject({ offset: pair[1]!.offset });
  });

  it('refuses adapters that cannot be merged', () => {
    const random = createRandom('refused');
    const adapter = adapterOf(random, 6, 2);
    const refused: [string, MergeableAdapter[], number[]?][] = [
      ['adapters: found none, expected at least one', []],
      [
        'adapters[1]: found dimension 5 and rank 2, expected dimension 6 and rank 2',
        [adapter, adapterOf(random, 5, 2)],
      ],
      [
        'adapters[1]: found dimension 6 and rank 1, expected dimension 6 and rank 2',
        [adapter, adapterOf(random, 6, 1)],
      ],
      ['weights: found 1 weights, expected 2, one per adapter', [adapter, adapter], [1]],
      ['weights[1]: found -1, expected a finite number of at least 0', [adapter, adapter], [1, -1]],
      ['weights[0]: found NaN, expected', [adapter, adapter], [Number.NaN, 1]],
      ['weights[1]: found Infinity, expected', [adapter, adapter], [1, Number.POSITIVE_INFINITY]],
      ['weights: found zeros only, expected at least one above 0', [adapter, adapter], [0, 0]],
    ];
    for (const [message, adapters, weights] of refused) {
      expect(() => mergeLora(adapters, weights)).toThrow(InvalidInputError);
      expect(() => mergeLora(adapters, weights)).toThrow(message);
    }
  });
});
