import { describe, expect, it } from 'vitest';
import { itemEffect, itemShrinkage } from '../../../shared/lora/item-effects.ts';
import { createRandom } from '../../../shared/lora/random.ts';

describe('itemEffect', () => {
  it('shrinks the mean residual towards nothing', () => {
    expect(itemEffect({ sum: 3, count: 10 }, 20)).toBe(0.1);
    expect(itemEffect(undefined, 20)).toBe(0);
  });
});

describe('itemShrinkage', () => {
  const items = (count: number, sum: number, n: number) =>
    Array.from({ length: count }, () => ({ sum, count: n }));

  it('is 20 until there are more than 200 residuals, 50 of them on items seen before', () => {
    expect(itemShrinkage([], 0)).toBe(20);
    expect(itemShrinkage(items(100, 0, 2), 10)).toBe(20);
    expect(itemShrinkage([...items(100, 0, 2), ...items(1, 0, 1)], 10)).not.toBe(20);
    expect(itemShrinkage(items(201, 0, 1), 10)).toBe(20);
    expect(itemShrinkage([...items(50, 0, 2), ...items(151, 0, 1)], 10)).toBe(20);
    expect(itemShrinkage([...items(51, 0, 2), ...items(151, 0, 1)], 10)).not.toBe(20);
  });

  it('stays between 3 and 60', () => {
    // All variance within items, and all between them.
    expect(itemShrinkage(items(100, 0, 4), 1000)).toBe(60);
    expect(itemShrinkage([...items(50, 4, 4), ...items(50, -4, 4)], 400)).toBe(3);
  });

  it('leaves out items of which there is nothing', () => {
    const seen = items(100, 0.4, 4);
    expect(itemShrinkage([...seen, ...items(900, 0, 0)], 40)).toBe(itemShrinkage(seen, 40));
  });

  it('is the ratio of the variances by the method of moments', () => {
    // 100 items of 4 residuals: Σs²/n = 100·1.21/4 = 30.25, within (100 − 30.25)/300, between
    // (30.25/100 − within)·100/400.
    const within = (100 - 30.25) / 300;
    expect(itemShrinkage(items(100, 1.1, 4), 100)).toBeCloseTo(within / ((0.3025 - within) / 4), 12);
  });

  it('finds the ratio that residuals were drawn with', () => {
    const random = createRandom('items');
    let squares = 0;
    const drawn = Array.from({ length: 4000 }, () => {
      const effect = 0.1 * random.normal();
      let sum = 0;
      for (let i = 0; i < 10; i++) {
        const residual = effect + 0.3 * random.normal();
        sum += residual;
        squares += residual * residual;
      }
      return { sum, count: 10 };
    });
    expect(itemShrinkage(drawn, squares)).toBeGreaterThan(8);
    expect(itemShrinkage(drawn, squares)).toBeLessThan(10);
  });
});
