import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../shared/errors.ts';
import {
  initialPrior,
  logMarginalLikelihood,
  type PreparedPrior,
  populationPrior,
  posteriorMean,
  preparePrior,
} from '../../../shared/lora/prior.ts';
import { usualRange, winsorised } from '../../../shared/lora/robust.ts';
import { addReward, centred, emptyStatistics, type Statistics } from '../../../shared/lora/statistics.ts';
import { dot, packedDiagonal } from '../../../shared/lora/symmetric.ts';
import {
  type Dense,
  difference,
  identity,
  invert,
  outer,
  pack,
  plus,
  product,
  range,
  times,
  transpose,
  unpack,
} from './dense.ts';
import { arbitraryPrior, cases, createRandom } from './fixtures.ts';

interface Rewarded {
  readonly psi: Float64Array;
  readonly reward: number;
  readonly itemEffect: number;
}

function rewarded(random: ReturnType<typeof createRandom>, count: number, size: number): Rewarded[] {
  return range(count).map(() => ({
    psi: Float64Array.from({ length: size }, (_, i) => (i === size - 1 ? 1 : random.normal())),
    reward: random.next(),
    itemEffect: 0.1 * random.normal(),
  }));
}

function summed(rewards: readonly Rewarded[], size: number): Statistics {
  return rewards.reduce(
    (sums, { psi, reward, itemEffect }) => addReward(sums, psi, reward, itemEffect),
    emptyStatistics(size),
  );
}

/** The same by the textbook: y of all rewards is jointly Gaussian. */
function dense(prior: PreparedPrior, rewards: readonly Rewarded[]) {
  const size = prior.mean.length;
  const design: Dense = rewards.map(({ psi }) => [...psi]);
  const y = rewards.map(({ reward, itemEffect }) => reward - itemEffect - prior.meanReward);
  const covariance = unpack(prior.covariance, size);
  const precision = invert(covariance).inverse;
  return { design, y, covariance, precision, mean: [...prior.mean], noise: prior.noiseVariance };
}

describe('statistics', () => {
  it('are the documented sums', () => {
    const rewards = rewarded(createRandom('sums'), 7, 3);
    const sums = summed(rewards, 3);
    const y = rewards.map(({ reward, itemEffect }) => reward - itemEffect);
    expect(
      difference(
        sums.gram,
        pack(rewards.map(({ psi }) => outer([...psi], [...psi])).reduce((p, q) => plus(p, q))),
      ),
    ).toBeLessThan(1e-14);
    expect(
      difference(
        sums.moment,
        range(3).map((i) =>
          dot(
            y,
            rewards.map(({ psi }) => psi[i]!),
          ),
        ),
      ),
    ).toBeLessThan(1e-14);
    expect(sums.sumSquares).toBeCloseTo(dot(y, y), 12);
    expect(sums.count).toBe(7);
    expect(sums.rewardSum).toBeCloseTo(
      dot(
        rewards.map(({ reward }) => reward),
        range(7).map(() => 1),
      ),
      12,
    );
  });

  it('can change to another mean reward exactly', () => {
    const rewards = rewarded(createRandom('mean'), 9, 4);
    const { moment, sumSquares } = centred(summed(rewards, 4), 0.3);
    const direct = summed(
      rewards.map((r) => ({ ...r, reward: r.reward - 0.3 })),
      4,
    );
    expect(difference(moment, direct.moment)).toBeLessThan(1e-13);
    expect(sumSquares).toBeCloseTo(direct.sumSquares, 12);
  });
});

describe('posteriorMean and logMarginalLikelihood', () => {
  it('agree with the dense Gaussian of all rewards', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = createRandom(seed);
        const size = 1 + random.integer(5);
        const prior = arbitraryPrior(random, 'b', size);
        const rewards = rewarded(random, random.integer(9), size);
        const { design, y, covariance, precision, mean, noise } = dense(prior, rewards);
        const n = rewards.length;
        const sums = summed(rewards, size);

        const gram = n === 0 ? identity(size, 0) : product(transpose(design), design);
        const information = plus(precision, gram, 1 / noise);
        const pull = n === 0 ? range(size).map(() => 0) : times(transpose(design), y);
        const right = times(precision, mean).map((value, i) => value + pull[i]! / noise);
        expect(
          difference(posteriorMean(sums, prior), times(invert(information).inverse, right)),
        ).toBeLessThan(1e-8);

        if (n === 0) {
          expect(logMarginalLikelihood(sums, prior)).toBeCloseTo(0, 8);
          return;
        }
        const marginal = plus(product(product(design, covariance), transpose(design)), identity(n, noise));
        const residual = times(design, mean).map((value, i) => y[i]! - value);
        const { inverse, determinant } = invert(marginal);
        const logDensity =
          -0.5 *
          (n * Math.log(2 * Math.PI) + Math.log(determinant) + dot(residual, times(inverse, residual)));
        expect(difference([logMarginalLikelihood(sums, prior)], [logDensity])).toBeLessThan(1e-7);
      }),
      cases(1000),
    );
  });

  it('give a copy of the prior mean before the first reward', () => {
    const prior = arbitraryPrior(createRandom('copy'), null, 3);
    const mean = posteriorMean(emptyStatistics(3), prior);
    expect(mean).toEqual(prior.mean);
    expect(mean).not.toBe(prior.mean);
  });

  it('refuse sums of another size, and sums that no interactions have', () => {
    const prior = initialPrior(null, 2);
    expect(() => posteriorMean(emptyStatistics(3), prior)).toThrow(
      'statistics: found 3 coefficients, expected 2',
    );
    const impossible = { ...emptyStatistics(2), gram: packedDiagonal([-1e9, -1e9]), count: 1 };
    expect(() => posteriorMean(impossible, prior)).toThrow(
      'statistics: found sums that no finite interactions have',
    );
    expect(() => posteriorMean(impossible, prior)).toThrow('expected a positive semidefinite G');
    expect(() => populationPrior([{ ...impossible, count: 1 }], prior, prior)).toThrow(InvalidInputError);
  });
});

describe('initialPrior', () => {
  it('is centred, with the documented variances', () => {
    const prior = initialPrior('basis', 3);
    expect(prior).toMatchObject({ basisId: 'basis', noiseVariance: 0.04, meanReward: 0.5 });
    expect([...prior.mean]).toEqual([0, 0, 0]);
    expect(unpack(prior.covariance, 3)).toEqual([
      [0.4, 0, 0],
      [0, 0.4, 0],
      [0, 0, 0.02],
    ]);
    expect(
      difference(
        prior.precision,
        pack([
          [2.5, 0, 0],
          [0, 2.5, 0],
          [0, 0, 50],
        ]),
      ),
    ).toBeLessThan(1e-15);
  });

  it('takes the given variance and mean reward, and divides the variance by the mean square of the features', () => {
    const prior = initialPrior(null, 2, { relativeVariance: 30, meanReward: 0.7, meanSquare: 4 * 0.0265 });
    expect(prior.meanReward).toBe(0.7);
    expect(
      difference(
        prior.covariance,
        pack([
          [0.3, 0],
          [0, 0.02],
        ]),
      ),
    ).toBeLessThan(1e-15);
  });
});

describe('preparePrior', () => {
  it('inverts the covariance', () => {
    const prior = preparePrior({
      basisId: null,
      mean: Float64Array.of(1, 2),
      covariance: pack([
        [2, 1],
        [1, 2],
      ]),
      noiseVariance: 0.1,
      meanReward: 0.5,
    });
    expect(
      difference(
        prior.precision,
        pack([
          [2 / 3, -1 / 3],
          [-1 / 3, 2 / 3],
        ]),
      ),
    ).toBeLessThan(1e-15);
    expect(difference(prior.precisionMean, [0, 1])).toBeLessThan(1e-15);
  });

  it.each([
    ['not positive definite', Float64Array.of(1, 2, 1)],
    ['of another order', Float64Array.of(1)],
    ['too large', Float64Array.of(1, 0, 1, 0, 0, 1)],
  ])('refuses a covariance that is %s', (_, covariance) => {
    const prior = {
      basisId: null,
      mean: new Float64Array(2),
      covariance,
      noiseVariance: 0.1,
      meanReward: 0.5,
    };
    const message =
      'prior.covariance: found a matrix that is not positive definite, expected a covariance of order 2';
    expect(() => preparePrior(prior)).toThrow(message);
  });
});

/** One step by the textbook: every matrix inverted, every user with the documented weight. */
function denseStep(
  people: readonly (readonly Rewarded[])[],
  current: PreparedPrior,
  base: PreparedPrior,
  size: number,
) {
  const traceOf = (matrix: Dense) => matrix.reduce((sum, row, i) => sum + row[i]!, 0);
  const precision = invert(unpack(current.covariance, size)).inverse;
  const noise = current.noiseVariance;
  const posteriors = people.map((rewards) => {
    const { design, y } = dense(current, rewards);
    const gram = product(transpose(design), design);
    const moment = times(transpose(design), y);
    const c = invert(plus(precision, gram, 1 / noise)).inverse;
    const around = (mean: number[]) =>
      times(
        c,
        times(precision, mean).map((value, i) => value + moment[i]! / noise),
      );
    const off = around([...current.mean]).map((value, i) => value - current.mean[i]!);
    const expected = size - traceOf(product(precision, c));
    const distance = dot(off, times(precision, off)) / (expected + 3 * Math.sqrt(2 * expected));
    return { design, y, gram, moment, c, around, distance };
  });
  const limit = Math.max(1, usualRange(posteriors.map(({ distance }) => distance))[1]);
  const weights = posteriors.map(({ distance }) => (distance > limit ? limit / distance : 1));
  let normal = invert(unpack(base.covariance, size)).inverse;
  let pull = range(size).map(() => 0);
  posteriors.forEach(({ c, moment }, u) => {
    normal = plus(
      plus(normal, precision, weights[u]!),
      product(product(precision, c), precision),
      -weights[u]!,
    );
    pull = times(c, moment).map((value, i) => pull[i]! + (weights[u]! * value) / noise);
  });
  const mean = times(invert(normal).inverse, times(precision, pull));
  let covariance = unpack(base.covariance, size).map((row) => row.map((value) => 30 * value));
  const errors = posteriors.map(({ design, y, gram, c, around }, u) => {
    const m = around(mean);
    const off = m.map((value, i) => value - mean[i]!);
    covariance = plus(plus(covariance, outer(off, off), weights[u]!), c);
    const residual = times(design, m).map((value, i) => y[i]! - value);
    return (dot(residual, residual) + traceOf(product(gram, c))) / y.length;
  });
  covariance = covariance.map((row) => row.map((value) => value / (people.length + 30)));
  const spread = posteriors.reduce(
    (sum, { gram, y }) => sum + traceOf(product(covariance, gram)) / y.length / people.length,
    0,
  );
  const counts = posteriors.map(({ y }) => Math.min(50, y.length));
  const squares = winsorised(errors).reduce((sum, error, i) => sum + counts[i]! * error, 2_000 * 0.04);
  return {
    mean,
    covariance: covariance.map((row) => row.map((value) => value * Math.min(1, 0.25 / spread))),
    noiseVariance: Math.min(0.25, squares / counts.reduce((sum, count) => sum + count, 2_000)),
  };
}

describe('populationPrior', () => {
  it('is the documented step of expectation maximisation', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = createRandom(seed);
        const size = 1 + random.integer(4);
        const current = arbitraryPrior(random, 'b', size);
        const base = initialPrior('b', size);
        const people = range(random.integer(5)).map(() => rewarded(random, 1 + random.integer(60), size));
        const found = populationPrior(
          people.map((rewards) => summed(rewards, size)),
          current,
          base,
        );
        const expected = denseStep(people, current, base, size);
        expect(difference(found.mean, expected.mean)).toBeLessThan(1e-8);
        expect(difference(found.covariance, pack(expected.covariance))).toBeLessThan(1e-8);
        expect(found.noiseVariance).toBeCloseTo(expected.noiseVariance, 10);
        expect(found).toMatchObject({ basisId: 'b', meanReward: current.meanReward });
      }),
      cases(300),
    );
  });

  it('keeps the noise between .005 and .25', () => {
    const prior = initialPrior(null, 1);
    /** Users whose rewards lie at the mean, except for noise of this variance. */
    const users = (variance: number): Statistics[] =>
      range(5_000).map(() => ({
        gram: Float64Array.of(100),
        moment: Float64Array.of(50),
        sumSquares: 25 + 100 * variance,
        count: 100,
        rewardSum: 50,
      }));
    expect(populationPrior(users(0), prior, prior).noiseVariance).toBe(0.005);
    expect(populationPrior(users(1), prior, prior).noiseVariance).toBe(0.25);
  });

  it('lets predicted rewards of no item differ by more than rewards can', () => {
    const prior = initialPrior(null, 1);
    /**
     * Half of the users give 10 to everything, the others -10, far outside the range of rewards.
     */
    const users = range(100).map(
      (i): Statistics => ({
        gram: Float64Array.of(100),
        moment: Float64Array.of(i % 2 === 0 ? 1000 : -1000),
        sumSquares: 10_000,
        count: 100,
        rewardSum: 0,
      }),
    );
    expect(populationPrior(users, prior, prior).covariance[0]).toBeCloseTo(0.25, 12);
  });

  it('gives a user no more weight for more interactions', () => {
    const random = createRandom('weights');
    const size = 3;
    const people = range(100).map(() => summed(rewarded(random, 40, size), size));
    const base = initialPrior(null, size);
    const loud = rewarded(random, 20, size).map((r) => ({ ...r, itemEffect: 0, reward: 1 }));
    const changeBy = (times: number) => {
      const bot = summed(
        range(times).flatMap(() => loud),
        size,
      );
      const [before, after] = [people, [...people, bot]].map((users) => populationPrior(users, base, base));
      return [difference(after!.mean, before!.mean), after!.noiseVariance - before!.noiseVariance];
    };
    const [few, many] = [changeBy(5), changeBy(2_000)];
    expect(many[0]).toBeLessThan(2 * few[0]!);
    expect(Math.abs(many[1]!)).toBeLessThan(0.002);
  });

  it('recovers the population that users were drawn from', () => {
    const random = createRandom('population');
    const size = 3;
    const truth = { mean: [0.3, -0.2, 0.1], spread: [0.3, 0.1, 0.05] };
    const people = range(200).map(() => {
      const m = truth.mean.map((value, i) => value + truth.spread[i]! * random.normal());
      return rewarded(random, 40, size).map((r) => ({
        ...r,
        itemEffect: 0,
        reward: 0.5 + dot(r.psi, m) + 0.2 * random.normal(),
      }));
    });
    const base = initialPrior(null, size);
    let prior = base;
    for (const _ of range(5))
      prior = populationPrior(
        people.map((rewards) => summed(rewards, size)),
        prior,
        base,
      );
    for (const i of range(3)) expect(Math.abs(prior.mean[i]! - truth.mean[i]!)).toBeLessThan(0.08);
    expect(Math.sqrt(prior.noiseVariance)).toBeCloseTo(0.2, 2);
    const held = summed(
      rewarded(random, 40, size).map((r) => ({
        ...r,
        itemEffect: 0,
        reward: 0.5 + dot(r.psi, truth.mean) + 0.2 * random.normal(),
      })),
      size,
    );
    expect(logMarginalLikelihood(held, prior)).toBeGreaterThan(logMarginalLikelihood(held, base));
  });
});
