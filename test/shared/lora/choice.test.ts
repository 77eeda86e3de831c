import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { basisFromEmbeddings, coefficientCount, features } from '../../../shared/lora/basis.ts';
import { createBayesianState, solveWeights, train } from '../../../shared/lora/bayesian.ts';
import {
  choiceEvidence,
  choiceMean,
  effectiveCount,
  fitChoicePrior,
  initialChoicePrior,
  leftOutPercentile,
  type PickSums,
  pickPercentile,
  prepareChoice,
} from '../../../shared/lora/choice.ts';
import { type FeatureMoments, meanSquare, momentsOfItems } from '../../../shared/lora/feature-moments.ts';
import { userPart } from '../../../shared/lora/forward.ts';
import { initialPriorOf } from '../../../shared/lora/prior.ts';
import { createRandom, type Random } from '../../../shared/lora/random.ts';
import { addReward, emptyStatistics } from '../../../shared/lora/statistics.ts';
import type { Dense } from './dense.ts';
import {
  difference,
  identity,
  invert,
  pack,
  plus,
  product,
  range,
  times,
  transpose,
  unpack,
} from './dense.ts';
import { cases } from './fixtures.ts';

const TEMPERING = { perPick: 0.3, saturation: 0.03 };

function arbitraryCovariance(random: Random, size: number, ridge = 0.05): Float64Array {
  const root = range(size).map(() => range(size).map(() => 0.4 * random.normal()));
  return pack(plus(product(root, transpose(root)), identity(size, ridge)));
}

function arbitraryChoice(random: Random, size: number) {
  const moments: FeatureMoments = {
    mean: Float64Array.from({ length: size }, () => random.normal()),
    covariance: arbitraryCovariance(random, size),
  };
  const prior = {
    mean: Float64Array.from({ length: size }, () => 0.2 * random.normal()),
    covariance: arbitraryCovariance(random, size),
  };
  return prepareChoice(prior, moments, TEMPERING);
}

function arbitraryPicks(random: Random, size: number, count = 1 + random.integer(40)): PickSums {
  const weight = count * (0.5 + random.next());
  return { count, weight, sum: Float64Array.from({ length: size }, () => count * random.normal()) };
}

/** The textbook's matrices: Σ⁻¹ + n_e C, and Σ⁻¹μ + (n_e/n)(b − ψ̄Σw). */
function dense({ prior, moments }: ReturnType<typeof arbitraryChoice>, { count, weight, sum }: PickSums) {
  const size = sum.length;
  const n = effectiveCount(count, TEMPERING);
  const precision = invert(unpack(prior.covariance, size));
  const information: Dense = plus(precision.inverse, unpack(moments.covariance, size), n);
  const evidence = range(size).map((i) => (n / count) * (sum[i]! - weight * moments.mean[i]!));
  const start = times(precision.inverse, [...prior.mean]);
  return { information, natural: start.map((value, i) => value + evidence[i]!), start, precision };
}

const inner = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, value, i) => sum + value * b[i]!, 0);

describe('the choice model', () => {
  it('has the posterior mean of the textbook', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 8 }), (seed, size) => {
        const random = createRandom(seed);
        const prepared = arbitraryChoice(random, size);
        const picks = arbitraryPicks(random, size);
        const { information, natural } = dense(prepared, picks);
        const expected = times(invert(information).inverse, natural);
        expect(difference(choiceMean(picks, prepared), expected)).toBeLessThan(1e-9);
      }),
      cases(100),
    );
  });

  it('has the marginal likelihood of the textbook', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 6 }), (seed, size) => {
        const random = createRandom(seed);
        const prepared = arbitraryChoice(random, size);
        const picks = arbitraryPicks(random, size);
        const { information, natural, start, precision } = dense(prepared, picks);
        const posterior = invert(information);
        const expected =
          0.5 *
          (inner(natural, times(posterior.inverse, natural)) -
            inner([...prepared.prior.mean], start) -
            // |Σ⁻¹ + n_e C|·|Σ|
            Math.log(posterior.determinant * precision.determinant));
        expect(Math.abs(choiceEvidence(picks, prepared) - expected)).toBeLessThan(
          1e-8 * (1 + Math.abs(expected)),
        );
      }),
      cases(100),
    );
  });

  it('gives a user without picks the prior', () => {
    const random = createRandom('nobody');
    const prepared = arbitraryChoice(random, 5);
    const nothing = { count: 0, weight: 0, sum: new Float64Array(5) };
    expect(difference(choiceMean(nothing, prepared), prepared.prior.mean)).toBeLessThan(1e-10);
    expect(choiceEvidence(nothing, prepared)).toBeCloseTo(0, 10);
  });

  it('gives each pick less weight the more there are', () => {
    expect(effectiveCount(0, TEMPERING)).toBe(0);
    expect(effectiveCount(1, TEMPERING)).toBeCloseTo(0.3 / 1.03, 12);
    expect(effectiveCount(1e9, TEMPERING)).toBeCloseTo(10, 6);
  });

  it('stays at zero taste when all items are alike', () => {
    const alike = momentsOfItems([Float64Array.of(1, 2, 1), Float64Array.of(1, 2, 1)]);
    const prior = initialChoicePrior(alike, 10);
    const prepared = prepareChoice(prior, alike, TEMPERING);
    expect(choiceMean({ count: 3, weight: 3, sum: Float64Array.of(3, 6) }, prepared)).toEqual(
      Float64Array.of(0, 0),
    );
    expect(pickPercentile(Float64Array.of(0, 0), Float64Array.of(1, 2), alike)).toBe(0.5);
  });

  it('ranks the picks of a user by the other picks alone, from sums', () => {
    const errors: number[] = [];
    const flattery: number[] = [];
    for (const seed of range(60)) {
      const random = createRandom(`left out ${seed}`);
      const size = 3;
      const prepared = arbitraryChoice(random, size);
      const { mean } = prepared.moments;
      const psi = range(5 + random.integer(25)).map(() =>
        Float64Array.from([...range(size).map((i) => mean[i]! + 0.5 * random.normal()), 1]),
      );
      const sumOf = (rows: readonly Float64Array[]): PickSums => ({
        count: rows.length,
        weight: rows.length,
        sum: Float64Array.from(range(size), (i) => rows.reduce((sum, row) => sum + row[i]!, 0)),
      });
      const statistics = psi.reduce((sums, row) => addReward(sums, row, 1, 0), emptyStatistics(size + 1));
      const all = sumOf(psi);
      const m = choiceMean(all, prepared);
      // The percentile of an item on which the others' average margin lies.
      const exact = psi.map((row, i) => {
        const others = choiceMean(sumOf(psi.filter((_, j) => j !== i)), prepared);
        return others.reduce((sum, value, j) => sum + value * (row[j]! - mean[j]!), 0) / psi.length;
      });
      const margin = exact.reduce((sum, value) => sum + value, 0);
      const norm = m.reduce((sum, value) => sum + value * value, 0);
      const at = Float64Array.from(m, (value, i) => mean[i]! + (margin * value) / norm);
      const found = leftOutPercentile(all, statistics, prepared);
      const average = all.sum.map((value) => value / psi.length);
      errors.push(Math.abs(found - pickPercentile(m, at, prepared.moments)));
      flattery.push(pickPercentile(m, average, prepared.moments) - found);
    }
    expect(Math.max(...errors)).toBeLessThan(0.03);
    expect(Math.min(...flattery)).toBeGreaterThan(0);
    expect(flattery.reduce((sum, value) => sum + value, 0) / flattery.length).toBeGreaterThan(0.05);
  });

  it('fits a prior under which the users that it was fitted to are more likely', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = createRandom(seed);
        const size = 4;
        const { moments } = arbitraryChoice(random, size);
        const users = range(60).map(() => arbitraryPicks(random, size));
        const base = initialChoicePrior(moments, 1);
        const prior = fitChoicePrior(users, moments, { base, tempering: TEMPERING, steps: 6 });
        const total = (p: typeof prior) =>
          users.reduce((sum, user) => sum + choiceEvidence(user, prepareChoice(p, moments, TEMPERING)), 0);
        expect(total(prior)).toBeGreaterThan(total(base));
      }),
      cases(20),
    );
  });

  it('ranks alike for embeddings that are longer, turned, or scaled by another factor', () => {
    const d = 16;
    const random = createRandom('turned');
    const items = range(60).map(() =>
      Float32Array.from({ length: d }, (_, i) => random.normal() + (i === 0 ? 2 : 0)),
    );
    const turn = orthogonal(random, d);
    const turned = items.map((x) => Float32Array.from(times(turn, [...x])));
    const reference = scoresOf(items, 1);
    for (const [embeddings, scalingFactor] of [
      [items.map((x) => x.map((value) => 37 * value)), 1],
      [turned, 1],
      [items, 8],
    ] as const) {
      expect(difference(scoresOf(embeddings, scalingFactor), reference)).toBeLessThan(1e-3);
    }
  });

  it('serves picks through an adapter with the scores of its coefficients', () => {
    const random = createRandom('served');
    const items = range(40).map(() => Float32Array.from({ length: 16 }, () => random.normal()));
    const scores = scoresOf(items, 1);
    const picked = scores.slice(0, 5).reduce((sum, score) => sum + score / 5, 0);
    const others = scores.slice(5).reduce((sum, score) => sum + score / 35, 0);
    expect(picked).toBeGreaterThan(others + 0.5);
  });
});

describe('feature moments', () => {
  it('are mean and covariance of the features without the offset', () => {
    const { mean, covariance } = momentsOfItems([Float64Array.of(1, 0, 1), Float64Array.of(3, 2, 1)]);
    expect(mean).toEqual(Float64Array.of(2, 1));
    expect(covariance).toEqual(Float64Array.of(1, 1, 1));
    expect(meanSquare({ mean, covariance })).toBe(7);
  });
});

/** Scores of all items for a user who picked the first five, under the initial prior. */
function scoresOf(items: readonly Float32Array[], scalingFactor: number): number[] {
  const basis = basisFromEmbeddings(items, { rank: 4, scalingFactor, seed: 1 });
  const psi = items.map((x) => {
    const row = new Float64Array(coefficientCount(basis));
    features(basis, x, row);
    return row;
  });
  const moments = momentsOfItems(psi);
  const choice = prepareChoice(initialChoicePrior(moments, 10), moments, TEMPERING);
  const model = { basis, prior: initialPriorOf(basis), choice };
  const picks = items.slice(0, 5).map((embedding) => ({ embedding, itemEffect: 0, reward: 1 }));
  const { state } = train(createBayesianState(basis), model, picks);
  const lora = { basis, ...solveWeights(state, model) };
  const raw = items.map((x) => userPart(lora, x));
  const mean = raw.reduce((sum, value) => sum + value / raw.length, 0);
  return raw.map((value) => value - mean);
}

/** Gram–Schmidt of random rows. */
function orthogonal(random: Random, d: number): Dense {
  const rows: Dense = [];
  while (rows.length < d) {
    let row = range(d).map(() => random.normal());
    for (const other of rows) {
      const share = inner(row, other);
      row = row.map((value, i) => value - share * other[i]!);
    }
    const norm = Math.sqrt(inner(row, row));
    rows.push(row.map((value) => value / norm));
  }
  return rows;
}
