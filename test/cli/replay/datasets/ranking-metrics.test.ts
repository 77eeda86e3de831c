import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  aucByThreshold,
  bootstrapInterval,
  mean,
  ndcg,
  pairwiseAuc,
} from '../../../../cli/replay/datasets/ranking-metrics.ts';
import { InvalidInputError } from '../../../../shared/errors.ts';

// Few different values, so that ties are common.
const scored = fc.array(fc.tuple(fc.integer({ min: 0, max: 4 }), fc.integer({ min: 1, max: 10 })), {
  maxLength: 7,
});

describe('aucByThreshold', () => {
  it('is the chance that a liked item scores above another, ties half', () => {
    expect(aucByThreshold([3, 2, 1], [true, false, false])).toBe(1);
    expect(aucByThreshold([1, 2, 3], [true, false, false])).toBe(0);
    expect(aucByThreshold([2, 2, 1], [true, false, false])).toBe(0.75);
    expect(aucByThreshold([0, 0], [true, false])).toBe(0.5);
  });

  it('equals the Mann-Whitney statistic from mean ranks', () => {
    fc.assert(
      fc.property(scored, (pairs) => {
        const scores = pairs.map(([score]) => score);
        const liked = pairs.map(([, rating]) => rating > 5);
        const positive = liked.filter(Boolean).length;
        const negative = liked.length - positive;
        const rank = (s: number) =>
          scores.filter((other) => other < s).length + (scores.filter((other) => other === s).length + 1) / 2;
        const rankSum = scores.reduce((sum, s, i) => sum + (liked[i] ? rank(s) : 0), 0);
        const auc = aucByThreshold(scores, liked);
        if (positive === 0 || negative === 0) expect(auc).toBeUndefined();
        else expect(auc).toBeCloseTo((rankSum - (positive * (positive + 1)) / 2) / (positive * negative), 12);
      }),
    );
  });
});

describe('pairwiseAuc', () => {
  it('counts every pair of different ratings once, a tied score half, and no pair of equal ratings', () => {
    // Pairs: 5 above 3 right, 5 above 1 right, 3 and 1 tied; the two threes do not count against
    // each other.
    expect(pairwiseAuc([9, 4, 4, 7], [5, 3, 1, 3])).toBe((1 + 1 + 1 + 0.5 + 1) / 5);
    expect(pairwiseAuc([1, 2, 3], [4, 4, 4])).toBeUndefined();
    expect(pairwiseAuc([], [])).toBeUndefined();
  });

  it('is reversed when the scores are', () => {
    fc.assert(
      fc.property(scored, (pairs) => {
        const [scores, ratings] = [pairs.map(([s]) => s), pairs.map(([, r]) => r)];
        const forward = pairwiseAuc(scores, ratings);
        const backward = pairwiseAuc(
          scores.map((s) => -s),
          ratings,
        );
        if (forward === undefined) expect(backward).toBeUndefined();
        else expect(forward + backward!).toBeCloseTo(1, 12);
      }),
    );
  });
});

describe('ndcg', () => {
  it('is 1 for the best order and the discounted share otherwise', () => {
    expect(ndcg([3, 2, 1], [7, 3, 1])).toBe(1);
    const log3 = Math.log2(3);
    expect(ndcg([1, 2], [3, 1])).toBeCloseTo((1 + 3 / log3) / (3 + 1 / log3), 12);
    expect(ndcg([5, 4, 3], [0, 0, 1], 2)).toBe(0);
  });

  it('is the mean over all orders of tied items', () => {
    fc.assert(
      fc.property(scored, fc.integer({ min: 1, max: 8 }), (pairs, k) => {
        const gains = pairs.map(([, rating]) => 2 ** (rating / 2) - 1);
        const scores = pairs.map(([score]) => score);
        const inOrder = permutations(pairs.map((_, i) => i)).filter((order) =>
          order.every((item, place) => place === 0 || scores[order[place - 1]!]! >= scores[item]!),
        );
        const dcg = (order: number[]) =>
          order.slice(0, k).reduce((sum, item, place) => sum + gains[item]! / Math.log2(place + 2), 0);
        const best = gains.map((_, i) => i).sort((a, b) => gains[b]! - gains[a]!);
        const result = ndcg(scores, gains, k);
        if (gains.length === 0) expect(result).toBeUndefined();
        else expect(result).toBeCloseTo(mean(inOrder.map(dcg))! / dcg(best), 10);
      }),
      { numRuns: 40 },
    );
  });

  it('looks at the first ten places unless told otherwise', () => {
    const scores = Array.from({ length: 12 }, (_, i) => -i);
    const eleventhOnly = scores.map((_, i) => (i === 10 ? 1 : 0));
    expect(ndcg(scores, eleventhOnly)).toBe(0);
    expect(ndcg(scores, eleventhOnly, 11)).toBeCloseTo(1 / Math.log2(12), 12);
  });

  it('is undefined when there is nothing to gain', () => {
    expect(ndcg([1, 2], [0, 0])).toBeUndefined();
  });
});

describe('every metric', () => {
  it('refuses scores that are NaN or of another number', () => {
    expect(() => pairwiseAuc([1, Number.NaN], [1, 2])).toThrow(/^scores\[1\]: found NaN/);
    expect(() => aucByThreshold([1], [true, false])).toThrow(InvalidInputError);
    expect(() => ndcg([1], [1, 2])).toThrow(/^gains: found 2 values, expected one for each of 1 scores/);
    expect(() => ndcg([1], [-1])).toThrow(/^gains\[0\]: found -1/);
    expect(() => ndcg([1], [1], 0)).toThrow(/^k: found 0/);
  });
});

describe('mean', () => {
  it('is that of the values that are defined', () => {
    expect(mean([1, undefined, 2])).toBe(1.5);
    expect(mean([undefined])).toBeUndefined();
  });
});

describe('bootstrapInterval', () => {
  it('repeats under a seed and contains the mean of different values', () => {
    const values = Array.from({ length: 100 }, (_, i) => i);
    const interval = bootstrapInterval(values, { seed: 1 });
    expect(bootstrapInterval(values, { seed: 1 })).toEqual(interval);
    expect(bootstrapInterval(values, { seed: 2 })).not.toEqual(interval);
    // Standard error of the mean of 0..99 is 28.87/10, so the interval is about 49.5 ± 5.66.
    expect(interval.low).toBeGreaterThan(42.9);
    expect(interval.low).toBeLessThan(44.8);
    expect(interval.high).toBeGreaterThan(54.2);
    expect(interval.high).toBeLessThan(56.1);
  });

  it('has no width when all values are the same', () => {
    expect(bootstrapInterval([3, 3, 3], { seed: 1, resamples: 50 })).toEqual({ low: 3, high: 3 });
  });

  it('refuses an empty list of values', () => {
    expect(() => bootstrapInterval([], { seed: 1 })).toThrow(InvalidInputError);
    expect(() => bootstrapInterval([1], { seed: 1, resamples: 0 })).toThrow(/^resamples: found 0/);
  });
});

function permutations(items: number[]): number[][] {
  if (items.length <= 1) return [items];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
