import { type Basis, createBasis } from '../../../shared/lora/basis.ts';
import { type PreparedPrior, preparePrior } from '../../../shared/lora/prior.ts';
import { createRandom, type Random } from '../../../shared/lora/random.ts';
import type { TrainingInteraction } from '../../../shared/lora/training.ts';
import { identity, pack, plus, product, range, transpose } from './dense.ts';

export function vectorOf(random: Random, length: number, scale = 1): Float32Array {
  return Float32Array.from({ length }, () => scale * random.normal());
}

/** Arbitrary A and Π: the algebra must not rely on their origin. */
export function arbitraryBasis(
  random: Random,
  { d = 5, r = 2, p = 3, scale = 0.7 }: { d?: number; r?: number; p?: number; scale?: number } = {},
): Basis {
  return createBasis({
    embeddingDim: d,
    rank: r,
    scale,
    a: vectorOf(random, r * d, 0.6),
    projection: vectorOf(random, d * r * p, 0.6),
  });
}

export function arbitraryPrior(random: Random, basisId: string | null, size: number): PreparedPrior {
  const root = range(size).map(() => range(size).map(() => 0.3 * random.normal()));
  return preparePrior({
    basisId,
    mean: Float64Array.from({ length: size }, () => 0.2 * random.normal()),
    covariance: pack(plus(product(root, transpose(root)), identity(size, 0.05))),
    noiseVariance: 0.02 + 0.1 * random.next(),
    meanReward: random.next(),
  });
}

export function rewardsOf(
  random: Random,
  count: number,
  d: number,
): (TrainingInteraction & { reward: number })[] {
  return range(count).map(() => ({
    embedding: vectorOf(random, d, 10 ** (random.integer(5) - 2)),
    itemEffect: 0.1 * random.normal(),
    reward: random.next(),
  }));
}

/**
 * Number of cases of a property; fewer during mutation testing, which runs every test thousands of
 * times.
 */
export function cases(numRuns: number): { numRuns: number } {
  return { numRuns: process.env.ATTUNE_MUTATION === undefined ? numRuns : Math.min(numRuns, 40) };
}

export { createRandom };
