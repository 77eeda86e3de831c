import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../shared/errors.ts';
import { createRandom, xoshiro128StarStar } from '../../../shared/lora/random.ts';

const seeds = fc.oneof(fc.integer(), fc.string());

describe('createRandom', () => {
  it('draws its bits as the published xoshiro128** does', () => {
    const bits = xoshiro128StarStar(Uint32Array.of(1, 2, 3, 4));
    // Output of the authors' C code from the state 1, 2, 3, 4.
    const reference = [11520, 0, 5927040, 70819200, 2031721883, 1637235492, 1287239034, 3734860849];
    expect(reference.map(() => bits())).toEqual(reference);
  });

  it('repeats the stream of a seed and leaves it for another seed', () => {
    const draw = (seed: number | string) => {
      const random = createRandom(seed);
      return [random.next(), random.normal(), random.integer(1000), ...random.shuffle([1, 2, 3, 4, 5])];
    };
    fc.assert(
      fc.property(seeds, seeds, (a, b) => {
        expect(draw(a)).toEqual(draw(a));
        if (String(a) !== String(b)) expect(draw(a)).not.toEqual(draw(b));
      }),
    );
  });

  it('keeps the stream of a seed from one release to the next', () => {
    const random = createRandom('attune');
    expect([random.next(), random.next(), random.normal(), random.integer(1000)]).toEqual([
      0.8088933724874819, 0.23152365157509558, 0.6830729122673904, 833,
    ]);
  });

  it('takes a number for its decimal text', () => {
    expect(createRandom(7).next()).toBe(createRandom('7').next());
  });

  it('is uniform: every tenth of [0, 1) and every integer gets its share', () => {
    const random = createRandom('uniform');
    const tenths = new Array<number>(10).fill(0);
    const integers = new Array<number>(7).fill(0);
    for (let i = 0; i < 70_000; i++) {
      const u = random.next();
      expect(u >= 0 && u < 1).toBe(true);
      tenths[Math.floor(u * 10)]! += 1;
      integers[random.integer(7)]! += 1;
    }
    // Chi-square, 9 and 6 degrees of freedom: 99.9 % quantiles 27.9 and 22.5.
    expect(chiSquare(tenths)).toBeLessThan(27.9);
    expect(chiSquare(integers)).toBeLessThan(22.5);
  });

  it('draws normals with mean 0, variance 1, no skew, fourth moment 3 and no correlation of neighbours', () => {
    const random = createRandom('normal');
    const values = Float64Array.from({ length: 100_000 }, () => random.normal());
    const moment = (f: (x: number, i: number) => number) =>
      values.reduce((sum, x, i) => sum + f(x, i), 0) / values.length;
    expect(Math.abs(moment((x) => x))).toBeLessThan(0.015);
    expect(Math.abs(moment((x) => x * x) - 1)).toBeLessThan(0.02);
    expect(Math.abs(moment((x) => x ** 3))).toBeLessThan(0.04);
    expect(Math.abs(moment((x) => x ** 4) - 3)).toBeLessThan(0.15);
    expect(Math.abs(moment((x, i) => x * (values[i ^ 1] ?? 0)))).toBeLessThan(0.015);
  });

  it('shuffles in place to every order equally often', () => {
    const random = createRandom('shuffle');
    const counts = new Map<string, number>();
    for (let i = 0; i < 24_000; i++) {
      const array = ['a', 'b', 'c', 'd'];
      expect(random.shuffle(array)).toBe(array);
      const order = array.join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    expect(counts.size).toBe(24);
    // 23 degrees of freedom: 99.9 % quantile 49.7.
    expect(chiSquare([...counts.values()])).toBeLessThan(49.7);
  });

  it('refuses a seed or a bound that is no usable number', () => {
    expect(() => createRandom(Number.NaN)).toThrow(InvalidInputError);
    for (const n of [0, -1, 1.5, Number.NaN, 2 ** 33]) {
      expect(() => createRandom(1).integer(n)).toThrow(/^n: found .*expected an integer from 1 to 2\^32/);
    }
  });
});

function chiSquare(counts: number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}
