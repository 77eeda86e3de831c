import { describe, expect, test } from 'vitest';
import { fitNeighbours, mostTelling, neighbourGains, positionOf } from '../../../shared/lora/neighbours.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { invert } from './dense.ts';

const random = createRandom('neighbours');
/** Users who each pick about a third of 12 items; items 0 to 3 go together. */
const picks = Array.from({ length: 40 }, (_, user) =>
  Array.from({ length: 12 }, (_, item) => item).filter((item) =>
    item < 4 ? user % 3 === 0 || random.next() < 0.1 : random.next() < 0.3,
  ),
);
const keys = (items: readonly number[]) => BigUint64Array.from(items, (item) => 1_000n * BigInt(item));

/**
 * The weights as the paper defines them: B = I − P·diag(1/P_jj), P = (XᵀX + λI)⁻¹, here λ = 50 and
 * B in units of 8.
 */
function reference(lists: readonly (readonly number[])[], items: number): number[][] {
  const gram = Array.from({ length: items }, (_, i) =>
    Array.from(
      { length: items },
      (_, j) => lists.filter((list) => list.includes(i) && list.includes(j)).length + (i === j ? 50 : 0),
    ),
  );
  const p = invert(gram).inverse;
  return p.map((row, i) => row.map((value, j) => (i === j ? 0 : (-8 * value) / p[j]![j]!)));
}

describe('fitNeighbours', () => {
  test('gives the weights of EASE, computed through items instead of users', () => {
    const fitted = fitNeighbours(picks.filter((list) => list.length > 1).map(keys))!;
    const expected = reference(
      picks.filter((list) => list.length > 1),
      12,
    );
    expect(fitted.keys).toEqual(keys(Array.from({ length: 12 }, (_, item) => item)));
    let compared = 0;
    for (let item = 0; item < 12; item++) {
      const gains = neighbourGains(fitted, keys([item]))!;
      gains.forEach((gain, other) => {
        if (gain === 0) return;
        compared += 1;
        // Stored in float16.
        expect(gain).toBeCloseTo(expected[item]![other]!, 3);
      });
    }
    expect(compared).toBeGreaterThan(100);
    expect(neighbourGains(fitted, keys([0]))![1]).toBeGreaterThan(0.5);
  });

  test('adds the lists of all picks of a user', () => {
    const fitted = fitNeighbours(picks.map(keys))!;
    const both = neighbourGains(fitted, keys([2, 7]))!;
    const [one, other] = [neighbourGains(fitted, keys([2]))!, neighbourGains(fitted, keys([7]))!];
    both.forEach((gain, i) => {
      expect(gain).toBeCloseTo(one[i]! + other[i]!, 12);
    });
  });

  test('has no list for an item that only one user picked', () => {
    const lists = [keys([1, 2, 9]), keys([1, 2]), keys([1, 2, 3]), keys([3])];
    const fitted = fitNeighbours(lists)!;
    expect(fitted.keys).toEqual(keys([1, 2, 3]));
    expect(neighbourGains(fitted, keys([9]))).toBeUndefined();
  });

  test('is undefined without two items that several users picked together', () => {
    expect(fitNeighbours([])).toBeUndefined();
    expect(fitNeighbours([keys([1, 2]), keys([3, 4])])).toBeUndefined();
    expect(fitNeighbours([keys([1]), keys([1])])).toBeUndefined();
  });

  test('does not depend on the order of users or on repeated picks, and a user counts once for an item', () => {
    const fitted = fitNeighbours(picks.map(keys))!;
    const again = fitNeighbours(picks.toReversed().map((list) => keys([...list, ...list])))!;
    expect(again.keys).toEqual(fitted.keys);
    for (const item of fitted.keys) {
      const [a, b] = [neighbourGains(fitted, [item])!, neighbourGains(again, [item])!];
      a.forEach((gain, i) => {
        expect(b[i]).toBeCloseTo(gain, 3);
      });
    }
  });

  test('keeps lists of 64 and the strongest neighbours first', () => {
    const crowd = Array.from({ length: 100 }, (_, user) =>
      keys(Array.from({ length: 100 }, (_, item) => item).filter((item) => (item + user) % 3 !== 0)),
    );
    const { ends, weights } = fitNeighbours(crowd)!;
    const firstList = weights.subarray(0, ends[0]);
    expect(firstList).toHaveLength(64);
    expect([...firstList]).toEqual([...firstList].sort((a, b) => b - a));
  });
});

describe('mostTelling', () => {
  test('keeps the thousand users with most picks, and the newest 256 of each', () => {
    const few = Array.from({ length: 1_000 }, () => keys([1, 2]));
    const many = keys(Array.from({ length: 300 }, (_, item) => item));
    const kept = mostTelling([...few, many]);
    expect(kept).toHaveLength(1_000);
    expect(kept[0]).toEqual(many.slice(44));
  });
});

test('positionOf finds every key and no other', () => {
  const sorted = keys([1, 3, 5, 9]);
  expect(keys([1, 3, 5, 9]).map((key) => BigInt(positionOf(sorted, key)))).toEqual(
    BigUint64Array.of(0n, 1n, 2n, 3n),
  );
  for (const absent of [0n, 2_000n, 10_000n]) expect(positionOf(sorted, absent)).toBe(-1);
  expect(positionOf(new BigUint64Array(0), 1n)).toBe(-1);
});
