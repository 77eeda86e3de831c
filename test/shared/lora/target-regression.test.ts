import { describe, expect, it } from 'vitest';
import { createBasis } from '../../../shared/lora/basis.ts';
import { addTarget, emptyTargetSums, solveTargets } from '../../../shared/lora/target-regression.ts';
import { difference, identity, invert, outer, plus, product, range, times, toRows } from './dense.ts';
import { arbitraryBasis, createRandom, vectorOf } from './fixtures.ts';

const random = createRandom('targets');
const pairs = (count: number, d: number) =>
  range(count).map(() => ({ x: vectorOf(random, d), t: vectorOf(random, d) }));

describe('target regression', () => {
  it('is ridge regression of the move on the latent item, all items weighing the same', () => {
    const basis = arbitraryBasis(random, { d: 6, r: 3, p: 2, scale: 0.5 });
    const sample = pairs(8, 6);
    const sums = sample.reduce((so, { x, t }) => addTarget(so, basis, x, t), emptyTargetSums(basis));
    let zz = identity(3, 0.1 * 4);
    let tz = range(6).map(() => [0, 0, 0]);
    for (const { x, t } of sample) {
      const length = Math.hypot(...x);
      const z = times(toRows(basis.a, 6), [...x]).map((value) => (0.5 * value) / length);
      zz = plus(zz, outer(z, z));
      tz = plus(
        tz,
        outer(
          [...t].map((value, i) => (value - x[i]!) / length),
          z,
        ),
      );
    }
    expect(sums.count).toBe(8);
    expect(difference(solveTargets(sums, basis), product(tz, invert(zz).inverse).flat())).toBeLessThan(1e-9);
  });

  it('learns a rotation, which no reward can show', () => {
    // A sees the first two dimensions; the targets are turned by 90 degrees there.
    const basis = createBasis({
      embeddingDim: 4,
      rank: 2,
      scale: 1,
      a: Float32Array.of(1, 0, 0, 0, 0, 1, 0, 0),
      projection: new Float32Array(8).fill(1),
    });
    let sums = emptyTargetSums(basis);
    for (let n = 0; n < 400; n++) {
      const angle = random.next() * 2 * Math.PI;
      const x = [Math.cos(angle), Math.sin(angle), 0, 0];
      sums = addTarget(sums, basis, x, [-x[1]!, x[0]!, 0, 0]);
    }
    const c = solveTargets(sums, basis);
    expect(difference(c, [-1, -1, 1, -1, 0, 0, 0, 0])).toBeLessThan(0.01);
  });

  it('takes nothing from a zero vector, and leaves the sums that it is given alone', () => {
    const basis = arbitraryBasis(random);
    const empty = emptyTargetSums(basis);
    const [pair] = pairs(1, 5);
    const one = addTarget(empty, basis, pair!.x, pair!.t);
    expect(empty).toEqual(emptyTargetSums(basis));
    expect(one.stz.some((value) => value !== 0)).toBe(true);
    const two = addTarget(one, basis, new Float32Array(5), pair!.t);
    expect(two).toEqual({ ...one, count: 2 });
    expect([...solveTargets(empty, basis)]).toEqual(new Array(10).fill(0));
  });

  it('stays solvable when one pair was summed a billion times', () => {
    const basis = arbitraryBasis(random);
    const [pair] = pairs(1, 5);
    const one = addTarget(emptyTargetSums(basis), basis, pair!.x, pair!.t);
    const often = { szz: one.szz.map((v) => v * 1e18), stz: one.stz.map((v) => v * 1e18), count: 1e18 };
    expect(solveTargets(often, basis).every(Number.isFinite)).toBe(true);
    // At 1e18 times the smallest ridge, float64 would lose the ridge, except for its share of the
    // trace.
    const wide = arbitraryBasis(random, { d: 6, r: 4, scale: 1e-6 });
    const many = pairs(3, 6).reduce((sums, { x, t }) => addTarget(sums, wide, x, t), emptyTargetSums(wide));
    const huge = { szz: many.szz.map((v) => v * 1e30), stz: many.stz.map((v) => v * 1e30), count: 1e30 };
    const c = solveTargets(huge, wide);
    expect(c.every(Number.isFinite)).toBe(true);
    expect(
      difference(
        c,
        solveTargets(
          { ...many, szz: many.szz.map((v) => v * 1e25), stz: many.stz.map((v) => v * 1e25) },
          wide,
        ),
      ),
    ).toBeLessThan(1e-3);
  });
});
