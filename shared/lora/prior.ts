import { InvalidInputError } from '../errors.ts';
import { type Basis, coefficientCount } from './basis.ts';
import { meanSquare } from './feature-moments.ts';
import type { Pulls } from './pulls.ts';
import { usualRange, winsorised } from './robust.ts';
import { centred, type Statistics } from './statistics.ts';
import {
  addOuterProduct,
  cholesky,
  choleskyInverse,
  choleskyLogDeterminant,
  choleskySolve,
  choleskySolveTransposed,
  dot,
  multiply,
  type PackedSymmetric,
  packedDiagonal,
  packedLength,
  traceOfProduct,
} from './symmetric.ts';

/**
 * The knowledge about a user before the first interaction: m_u ~ N(μ, Σ), y = g0 + ψ·m_u + ε, ε ~
 * N(0, σ²).
 */
export interface Prior {
  /** Basis of the coefficients; null when there is only the offset. */
  readonly basisId: string | null;
  /** μ, length P. */
  readonly mean: Float64Array;
  /** Σ, packed, order P. */
  readonly covariance: PackedSymmetric;
  /** σ². */
  readonly noiseVariance: number;
  /** g0. */
  readonly meanReward: number;
}

/** A prior with the factorisation that every solve needs. */
export interface PreparedPrior extends Prior {
  /** Σ⁻¹, packed. */
  readonly precision: PackedSymmetric;
  /** Σ⁻¹μ. */
  readonly precisionMean: Float64Array;
}

/**
 * E|ψ|² and s of the embeddings on which prior variances were measured (MovieLens and
 * MovieTweetings, rank 4). Only their product with a variance matters: how much predicted rewards
 * differ between items before any feedback.
 */
export const REFERENCE_MEAN_SQUARE = 0.0265;
export const REFERENCE_SCALE = 0.25;
const NOISE_VARIANCE = 0.04;
const OFFSET_VARIANCE = 0.02;
const PRIOR_USERS = 30;
const PRIOR_INTERACTIONS = 2_000;
/** Most interactions of one user that count in the noise. */
const USER_INTERACTIONS = 50;
const MIN_NOISE_VARIANCE = 0.005;
/**
 * The largest variance of rewards, which lie in [0, 1]. The noise and the predictions have no
 * larger variance.
 */
const MAX_VARIANCE = 0.25;

interface InitialPriorOptions {
  relativeVariance?: number | undefined;
  meanReward?: number | undefined;
  meanSquare?: number | undefined;
}

/**
 * The prior before any feedback: zero mean, and coefficients of variance τ²·0.04·0.0265/E|ψ|².
 * Predicted rewards then start with the same variance for every length, dimension and spread of the
 * embeddings and every scaling factor.
 * @param relativeVariance τ², prior variance of a coefficient at E|ψ|² = {@link
 * REFERENCE_MEAN_SQUARE} in units of the noise variance; default 10
 * @param meanReward g0; default 0.5
 * @param meanSquare E|ψ|² over items, without the offset; default {@link REFERENCE_MEAN_SQUARE}
 */
export function initialPrior(
  basisId: string | null,
  coefficients: number,
  { relativeVariance = 10, meanReward = 0.5, meanSquare = REFERENCE_MEAN_SQUARE }: InitialPriorOptions = {},
): PreparedPrior {
  // Features that are all zero carry no information under any variance.
  const scale = meanSquare > 0 ? REFERENCE_MEAN_SQUARE / meanSquare : 1;
  const variances = new Float64Array(coefficients).fill(relativeVariance * NOISE_VARIANCE * scale);
  variances[coefficients - 1] = OFFSET_VARIANCE;
  return preparePrior({
    basisId,
    mean: new Float64Array(coefficients),
    covariance: packedDiagonal(variances),
    noiseVariance: NOISE_VARIANCE,
    meanReward,
  });
}

/**
 * {@link initialPrior} over the coefficients of a basis. For a basis without moments only the scale
 * s is known.
 */
export function initialPriorOf(
  basis: Basis | null,
  options: Pick<InitialPriorOptions, 'relativeVariance' | 'meanReward'> = {},
): PreparedPrior {
  if (basis === null) return initialPrior(null, 1, options);
  const { moments, scale } = basis;
  return initialPrior(basis.id, coefficientCount(basis), {
    ...options,
    meanSquare:
      moments === undefined ? REFERENCE_MEAN_SQUARE * (scale / REFERENCE_SCALE) ** 2 : meanSquare(moments),
  });
}

/** @throws InvalidInputError when the covariance is not positive definite */
export function preparePrior(prior: Prior): PreparedPrior {
  const order = prior.mean.length;
  const l = cholesky(prior.covariance, order);
  if (l === undefined || prior.covariance.length !== packedLength(order)) {
    throw new InvalidInputError(
      'prior.covariance',
      'a matrix that is not positive definite',
      `a covariance of order ${order}`,
    );
  }
  const precision = choleskyInverse(l, order);
  return { ...prior, precision, precisionMean: multiply(precision, prior.mean) };
}

/**
 * Posterior mean of a user's coefficients, (Σ⁻¹ + G/σ²)⁻¹(Σ⁻¹μ + g/σ²): Bayesian linear regression
 * (Bishop, Pattern Recognition and Machine Learning, 2006, eq. 3.50).
 * @throws InvalidInputError when numbers are not finite or sizes differ
 */
export function posteriorMean(statistics: Statistics, prior: PreparedPrior): Float64Array {
  if (statistics.moment.length !== prior.mean.length) {
    throw new InvalidInputError(
      'statistics',
      `${statistics.moment.length} coefficients`,
      `${prior.mean.length}`,
    );
  }
  if (statistics.count === 0) return prior.mean.slice();
  return choleskySolve(information(statistics, prior), evidence(statistics, prior));
}

/**
 * Draws a user's coefficients from their posterior, whose mean is {@link posteriorMean}.
 * @returns a function that makes one draw from a source of standard normal numbers
 */
export function posteriorDraws(
  statistics: Statistics,
  prior: PreparedPrior,
): (normal: () => number) => Float64Array {
  const mean = posteriorMean(statistics, prior);
  const l = information(statistics, prior);
  return (normal) => {
    const deviation = choleskySolveTransposed(l, mean.map(normal));
    return mean.map((value, i) => value + deviation[i]!);
  };
}

/** How ψ·m of {@link posteriorMean} divides among the prior and past rewards; see pulls.ts. */
export function rewardPulls(statistics: Statistics, prior: PreparedPrior): (psi: Float64Array) => Pulls {
  const l = information(statistics, prior);
  return (psi) => {
    const weights = choleskySolve(l, psi);
    return {
      prior: dot(weights, prior.precisionMean),
      of: (past) =>
        (dot(weights, past.psi) * (past.rewards - past.effects - past.count * prior.meanReward)) /
        prior.noiseVariance,
    };
  };
}

/** Cholesky factor of Σ⁻¹ + G/σ². */
function information(statistics: Statistics, prior: PreparedPrior): PackedSymmetric {
  const matrix = prior.precision.slice();
  for (let i = 0; i < matrix.length; i++) matrix[i]! += statistics.gram[i]! / prior.noiseVariance;
  const l = cholesky(matrix, prior.mean.length);
  if (l === undefined) {
    throw new InvalidInputError(
      'statistics',
      'sums that no finite interactions have',
      'a positive semidefinite G',
    );
  }
  return l;
}

/** Σ⁻¹μ + g/σ². */
function evidence(statistics: Statistics, prior: PreparedPrior): Float64Array {
  const { moment } = centred(statistics, prior.meanReward);
  return moment.map((value, i) => value / prior.noiseVariance + prior.precisionMean[i]!);
}

/**
 * log p(rewards of one user | prior), with the coefficients integrated out (Bishop 2006, eq. 3.86,
 * for a general prior). Needs the sums only.
 */
export function logMarginalLikelihood(statistics: Statistics, prior: PreparedPrior): number {
  const order = prior.mean.length;
  const l = information(statistics, prior);
  const b = evidence(statistics, prior);
  const { sumSquares } = centred(statistics, prior.meanReward);
  const covarianceFactor = cholesky(prior.covariance, order)!;
  return (
    -0.5 *
    (statistics.count * Math.log(2 * Math.PI * prior.noiseVariance) +
      choleskyLogDeterminant(covarianceFactor, order) +
      choleskyLogDeterminant(l, order) +
      sumSquares / prior.noiseVariance +
      dot(prior.mean, prior.precisionMean) -
      dot(b, choleskySolve(l, b)))
  );
}

/** A user's posterior under a prior. */
interface Posterior {
  readonly statistics: Statistics;
  /** g − g0·Σψ. */
  readonly moment: Float64Array;
  /** Σ(y − g0)². */
  readonly sumSquares: number;
  /** V. */
  readonly covariance: PackedSymmetric;
  /**
   * Distance of the user's taste from the mean, relative to the largest distance that the prior
   * expects.
   */
  readonly distance: number;
}

/**
 * (m − μ)ᵀΣ⁻¹(m − μ) has the mean P − tr(Σ⁻¹V) and varies like a χ². The largest expected value is
 * three standard deviations above the mean.
 */
function posteriorOf(statistics: Statistics, prior: PreparedPrior): Posterior {
  const order = prior.mean.length;
  const { moment, sumSquares } = centred(statistics, prior.meanReward);
  const covariance = choleskyInverse(information(statistics, prior), order);
  const m = multiply(covariance, evidence(statistics, prior));
  const off = m.map((value, i) => value - prior.mean[i]!);
  const expected = Math.max(0, order - traceOfProduct(prior.precision, covariance, order));
  const limit = expected + 3 * Math.sqrt(2 * expected);
  const distance = limit > 0 ? dot(off, multiply(prior.precision, off)) / limit : 0;
  return { statistics, moment, sumSquares, covariance, distance };
}

/**
 * Weight of a user: 1, or less for one who is further out than expected and than most users,
 * because a prior that is too narrow expects too little of everyone.
 */
function weightsOf(posteriors: readonly Posterior[]): number[] {
  const distances = posteriors.map(({ distance }) => distance);
  const limit = Math.max(1, usualRange(distances)[1]);
  return distances.map((distance) => (distance > limit ? limit / distance : 1));
}

/**
 * E(y − g0 − ψ·m)² per reward.
 * @param m posterior mean
 */
function meanSquareError({ statistics, moment, sumSquares, covariance }: Posterior, m: Float64Array): number {
  const { gram, count } = statistics;
  const explained = 2 * dot(moment, m) - dot(m, multiply(gram, m));
  return (sumSquares - explained + traceOfProduct(gram, covariance, m.length)) / count;
}

/**
 * One step of expectation maximisation over users' sums: the population prior (empirical Bayes for
 * random coefficients; Dempster, Rubin & Tsutakawa 1981, Laird & Ware 1982). The mean is estimated
 * by generalised least squares. Covariance and noise are shrunken towards `base` with the weight of
 * 30 users and 2,000 interactions. The weight of a user is bounded, and smaller for one whose
 * tastes or noise lie far out, so that no user distorts the prior of all. Costs O(M·P³),
 * independent of d.
 * @param users sums of M users under the current prior's basis, each with one reward or more
 * @param base the prior before any feedback
 */
export function populationPrior(
  users: readonly Statistics[],
  current: PreparedPrior,
  base: PreparedPrior,
): PreparedPrior {
  const { precision: inverse, noiseVariance } = current;
  const posteriors = users.map((statistics) => posteriorOf(statistics, current));
  const weights = weightsOf(posteriors);
  const mean = populationMean(posteriors, weights, current, base);

  const inverseMean = multiply(inverse, mean);
  const covariance = base.covariance.map((value) => PRIOR_USERS * value);
  const errors: number[] = [];
  posteriors.forEach((posterior, i) => {
    const m = multiply(
      posterior.covariance,
      posterior.moment.map((value, j) => value / noiseVariance + inverseMean[j]!),
    );
    const off = m.map((value, j) => value - mean[j]!);
    addOuterProduct(covariance, off, weights[i]!);
    add(covariance, posterior.covariance);
    errors.push(meanSquareError(posterior, m));
  });
  let interactions = PRIOR_INTERACTIONS;
  let squares = PRIOR_INTERACTIONS * NOISE_VARIANCE;
  winsorised(errors).forEach((error, i) => {
    const counted = Math.min(USER_INTERACTIONS, users[i]!.count);
    interactions += counted;
    squares += counted * error;
  });
  return preparePrior({
    basisId: current.basisId,
    mean,
    covariance: bounded(
      covariance.map((value) => value / (users.length + PRIOR_USERS)),
      users,
    ),
    noiseVariance: Math.min(MAX_VARIANCE, Math.max(MIN_NOISE_VARIANCE, squares / interactions)),
    meanReward: current.meanReward,
  });
}

/** μ by generalised least squares. */
function populationMean(
  posteriors: readonly Posterior[],
  weights: readonly number[],
  { precision, noiseVariance, mean: { length: order } }: PreparedPrior,
  base: PreparedPrior,
): Float64Array {
  const covarianceSum = new Float64Array(packedLength(order));
  const pull = new Float64Array(order);
  let count = 0;
  posteriors.forEach(({ covariance, moment }, i) => {
    const weight = weights[i]!;
    add(covarianceSum, covariance, weight);
    add(pull, multiply(covariance, moment), weight / noiseVariance);
    count += weight;
  });
  const normal = sandwich(precision, covarianceSum, order);
  for (let i = 0; i < normal.length; i++) normal[i] = count * precision[i]! - normal[i]! + base.precision[i]!;
  const factor = cholesky(normal, order);
  if (factor === undefined)
    throw new InvalidInputError('users', 'sums that no finite interactions have', 'finite sums');
  return choleskySolve(factor, multiply(precision, pull));
}

/**
 * The covariance, reduced if it says that users' rewards for an item differ by more than rewards
 * can.
 */
function bounded(covariance: PackedSymmetric, users: readonly Statistics[]): PackedSymmetric {
  const order = users[0]?.moment.length ?? 0;
  const variance = users.reduce(
    (sum, { gram, count }) => sum + traceOfProduct(covariance, gram, order) / count / users.length,
    0,
  );
  return variance > MAX_VARIANCE ? covariance.map((value) => (value * MAX_VARIANCE) / variance) : covariance;
}

function add(into: Float64Array, values: Float64Array, weight = 1): void {
  for (let i = 0; i < into.length; i++) into[i]! += weight * values[i]!;
}

/** P·Q·P, packed, of packed symmetric P and Q. */
function sandwich(p: PackedSymmetric, q: PackedSymmetric, order: number): PackedSymmetric {
  const column = new Float64Array(order);
  const out = new Float64Array(packedLength(order));
  for (let j = 0; j < order; j++) {
    for (let i = 0; i < order; i++) column[i] = i >= j ? p[packedLength(i) + j]! : p[packedLength(j) + i]!;
    const product = multiply(p, multiply(q, column));
    for (let i = j; i < order; i++) out[packedLength(i) + j] = product[i]!;
  }
  return out;
}
