import { expect, test } from 'vitest';
import { choiceDraw, choiceMean, effectiveCount, prepareChoice } from '../../../shared/lora/choice.ts';
import { posteriorDraws, posteriorMean, preparePrior } from '../../../shared/lora/prior.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { addReward, emptyStatistics } from '../../../shared/lora/statistics.ts';
import { packedDiagonal } from '../../../shared/lora/symmetric.ts';

const DRAWS = 20_000;

/** Mean and covariance of many draws. */
function momentsOf(draw: () => Float64Array) {
  const draws = Array.from({ length: DRAWS }, draw);
  const size = draws[0]!.length;
  const average = (of: (m: Float64Array) => number) => draws.reduce((sum, m) => sum + of(m), 0) / DRAWS;
  const mean = Array.from({ length: size }, (_, i) => average((m) => m[i]!));
  const covariance = (i: number, j: number) => average((m) => (m[i]! - mean[i]!) * (m[j]! - mean[j]!));
  return { mean, covariance };
}

test('draws of coefficients have the mean and the covariance of the posterior', () => {
  const prior = preparePrior({
    basisId: null,
    mean: Float64Array.of(0.3, -0.2),
    covariance: packedDiagonal([0.5, 2]),
    noiseVariance: 0.25,
    meanReward: 0.5,
  });
  let statistics = emptyStatistics(2);
  for (const [x, reward] of [
    [1, 1],
    [2, 0.5],
    [-1, 0],
  ] as const)
    statistics = addReward(statistics, Float64Array.of(x, 1), reward, 0);
  const random = createRandom('posterior');
  const draw = posteriorDraws(statistics, prior);
  const { mean, covariance } = momentsOf(() => draw(random.normal));
  // Σ⁻¹ + G/σ², with Σx² = 6, Σx = 2, n = 3.
  const [a, b, c] = [1 / 0.5 + 6 / 0.25, 2 / 0.25, 1 / 2 + 3 / 0.25];
  const determinant = a * c - b * b;
  const expected = posteriorMean(statistics, prior);
  expect(mean[0]).toBeCloseTo(expected[0]!, 2);
  expect(mean[1]).toBeCloseTo(expected[1]!, 2);
  expect(covariance(0, 0) / (c / determinant)).toBeCloseTo(1, 1);
  expect(covariance(1, 1) / (a / determinant)).toBeCloseTo(1, 1);
  expect(covariance(0, 1) / (-b / determinant)).toBeCloseTo(1, 1);
});

test('draws under the choice model have the mean and the covariance of its posterior', () => {
  const tempering = { perPick: 0.3, saturation: 0.03 };
  const prepared = prepareChoice(
    { mean: Float64Array.of(0.1, 0.4), covariance: packedDiagonal([2, 0.5]) },
    { mean: Float64Array.of(0.2, 0), covariance: packedDiagonal([1, 4]) },
    tempering,
  );
  const picks = { count: 10, weight: 10, sum: Float64Array.of(6, -3) };
  const random = createRandom('choice');
  const { mean, covariance } = momentsOf(() => choiceDraw(picks, prepared, random.normal));
  const n = effectiveCount(10, tempering);
  const expected = choiceMean(picks, prepared);
  expect(mean[0]).toBeCloseTo(expected[0]!, 1);
  expect(mean[1]).toBeCloseTo(expected[1]!, 1);
  expect(covariance(0, 0) * (1 / 2 + n)).toBeCloseTo(1, 1);
  expect(covariance(1, 1) * (1 / 0.5 + 4 * n)).toBeCloseTo(1, 1);
  expect(covariance(0, 1)).toBeCloseTo(0, 1);
});
