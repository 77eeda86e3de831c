import { describe, expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';
import { hyperparametersFor } from '../../../shared/population/exploration.ts';
import { isHeldOut } from '../../../shared/population/holdout.ts';

const keys = Array.from({ length: 9_000 }, (_, i) => userKey(`user ${i}`));
const settings = (learningRate: number, exploration: number) =>
  ({ learner: 'sgd', learningRate, exploration }) as const;
const rateOf = (key: string, learningRate: number, exploration: number, recommended?: number) =>
  hyperparametersFor(
    key,
    settings(learningRate, exploration),
    recommended === undefined ? null : { learningRate: recommended, insteadOf: learningRate },
  )!.learningRate!;

describe('the learning rate of a user', () => {
  test('is the configured or the recommended one without exploration', () => {
    for (const key of keys.slice(0, 50)) {
      expect(rateOf(key, 0.1, 0)).toBe(0.1);
      expect(rateOf(key, 0.1, 0, 0.3)).toBe(0.3);
    }
  });

  test('is the configured one when the recommendation was compared with another configured one', () => {
    const recommended = { learningRate: 0.3, insteadOf: 0.01 };
    const rate = (configured: number) => hyperparametersFor(keys[0]!, settings(configured, 0), recommended);
    expect(rate(0.01)).toEqual({ learningRate: 0.3 });
    expect(rate(0.1)).toEqual({ learningRate: 0.1 });
  });

  test('is another one for exploring users, from a hundredth to a hundred times in steps of √10', () => {
    const tried = keys.filter((key) => rateOf(key, 0.01, 0.2, 7) !== 7);
    expect(tried.length / keys.length).toBeGreaterThan(0.19);
    expect(tried.length / keys.length).toBeLessThan(0.21);
    const byRate = Map.groupBy(tried, (key) => Number(rateOf(key, 0.01, 0.2).toPrecision(3)));
    expect([...byRate.keys()].sort((a, b) => a - b)).toEqual([
      0.0001, 0.000316, 0.001, 0.00316, 0.01, 0.0316, 0.1, 0.316, 1,
    ]);
    for (const users of byRate.values()) expect(users.length).toBeGreaterThan(150);
  });

  test('stays the same for an exploring user when the recommendation or the share of exploring users changes', () => {
    const tried = keys.filter((key) => rateOf(key, 0.01, 0.2, 7) !== 7);
    for (const key of tried) {
      expect(rateOf(key, 0.01, 0.2, 0.5)).toBe(rateOf(key, 0.01, 0.2));
      expect(rateOf(key, 0.01, 0.5, 7)).toBe(rateOf(key, 0.01, 0.2));
    }
  });

  test('is never explored below the minimum, nor where descent diverges, unless that is configured', () => {
    const rates = (configured: number) => keys.map((key) => rateOf(key, configured, 0.5, configured));
    expect(Math.max(...rates(0.5))).toBe(2);
    expect(Math.max(...rates(5))).toBe(5);
    expect(Math.min(...rates(5e-6))).toBe(1e-6);
  });

  test.each([1e-6, 3e-6, 1, 2.5, 10])(
    'is explored by equally many users, also near the bounds: %d',
    (configured) => {
      const tried = keys.filter((key) => rateOf(key, configured, 0.5, 7) !== 7);
      const byRate = Map.groupBy(tried, (key) => rateOf(key, configured, 0.5));
      expect(byRate.size).toBeGreaterThanOrEqual(5);
      expect([...byRate.keys()]).toContain(configured);
      for (const users of byRate.values()) {
        expect((users.length * byRate.size) / tried.length).toBeGreaterThan(0.85);
        expect((users.length * byRate.size) / tried.length).toBeLessThan(1.15);
      }
    },
  );

  test('is independent of the holdout', () => {
    const tried = keys.filter((key) => rateOf(key, 0.01, 0.2, 7) !== 7);
    const both = tried.filter((key) => isHeldOut(key, 0.5)).length;
    expect(both / tried.length).toBeGreaterThan(0.46);
    expect(both / tried.length).toBeLessThan(0.54);
  });
});

test('the learner bayesian has no learning rate', () => {
  const bayesian = { ...settings(1, 0.5), learner: 'bayesian' } as const;
  expect(hyperparametersFor(keys[0]!, bayesian, { learningRate: 2, insteadOf: 1 })).toBeUndefined();
});
