import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  boundedResidual,
  type ItemSums,
  itemEffect,
  itemShrinkage,
} from '../../../shared/lora/item-effects.ts';
import { createRandom } from '../../../shared/lora/random.ts';

/** Items with ten residuals each, whose variance within items is nine times that between them. */
function drawItems(seed: string, count: number): { drawn: ItemSums[]; squares: number } {
  const random = createRandom(seed);
  let squares = 0;
  const drawn = Array.from({ length: count }, () => {
    const effect = 0.1 * random.normal();
    let sum = 0;
    for (let i = 0; i < 10; i++) {
      const residual = effect + 0.3 * random.normal();
      sum += residual;
      squares += residual * residual;
    }
    return { sum, count: 10 };
  });
  return { drawn, squares };
}

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

  it('stays between 5 and 60', () => {
    // All variance within items, and all between them.
    expect(itemShrinkage(items(100, 0, 4), 1000)).toBe(60);
    expect(itemShrinkage([...items(50, 4, 4), ...items(50, -4, 4)], 400)).toBe(5);
  });

  it('leaves out items without residuals', () => {
    const seen = items(100, 0.4, 4);
    expect(itemShrinkage([...seen, ...items(900, 0, 0)], 40)).toBe(itemShrinkage(seen, 40));
  });

  it('finds the ratio that residuals were drawn with', () => {
    const { drawn, squares } = drawItems('items', 4000);
    expect(itemShrinkage(drawn, squares)).toBeGreaterThan(8);
    expect(itemShrinkage(drawn, squares)).toBeLessThan(10);
  });

  it('hardly changes when a few items are pushed far out', () => {
    const { drawn: honest, squares } = drawItems('pushed', 1000);
    const pushed = honest.map((item, i) => (i < 20 ? { ...item, sum: -9 } : item));
    // By the method of moments it would be 3 instead of 9.
    expect(itemShrinkage(pushed, squares) / itemShrinkage(honest, squares)).toBeGreaterThan(0.5);
  });
});

describe('boundedResidual', () => {
  it('moves no effect by more than .05, whatever is known of the item and whatever the shrinkage', () => {
    const residual = fc.double({ min: -1, max: 1, noNaN: true });
    const add = (item: ItemSums, value: number) => ({
      sum: item.sum + boundedResidual(item, value),
      count: item.count + 1,
    });
    fc.assert(
      fc.property(
        fc.array(residual, { maxLength: 40 }),
        residual,
        fc.double({ min: 5, max: 60, noNaN: true }),
        (before, last, shrinkage) => {
          const item = before.reduce(add, { sum: 0, count: 0 });
          const change = itemEffect(add(item, last), shrinkage) - itemEffect(item, shrinkage);
          expect(Math.abs(change)).toBeLessThanOrEqual(0.05 + 1e-12);
        },
      ),
    );
  });

  it('is the residual itself if that moves the effect less', () => {
    expect(boundedResidual(undefined, 0.2)).toBe(0.2);
    expect(boundedResidual(undefined, -0.9)).toBeCloseTo(-0.3, 12);
    expect(boundedResidual({ sum: 0, count: 14 }, -0.9)).toBe(-0.9);
  });
});
