import { symmetricEigen } from './eigen.ts';
import type { FeatureMoments } from './feature-moments.ts';
import type { PickWeights, RewardSpread } from './pick-weights.ts';
import type { PastRewards, Pulls } from './pulls.ts';
import type { Statistics } from './statistics.ts';
import {
  addOuterProduct,
  cholesky,
  dot,
  type PackedSymmetric,
  packedDiagonal,
  packedLength,
} from './symmetric.ts';

/**
 * The choice model: which item of the catalogue does a user pick? User u picks item i with
 * probability p(i) ∝ w_i·exp(ψ_i·m_u), where w_i is the item's popularity and ψ_i its features
 * without the offset. The logarithm of the normaliser is expanded to second order around m = 0,
 * where its derivatives are the mean and the covariance of ψ over items drawn by popularity. A
 * user's picks therefore enter only through their number and Σψ.
 */
export interface PickSums {
  /**
   * n = Σ weight²: how much information the picks carry. The number of picks when every weight is
   * 1.
   */
  readonly count: number;
  /** Σ weight. Below 0 when the user mostly disliked what they met. */
  readonly weight: number;
  /** b = Σ weight·ψ, length Q: the coefficients of the basis, without the offset. */
  readonly sum: Float64Array;
}

/** How tastes differ between users, before any feedback: m_u ~ N(μ, Σ). */
export interface ChoicePrior {
  /** μ, length Q. */
  readonly mean: Float64Array;
  /** Σ, packed, order Q. */
  readonly covariance: PackedSymmetric;
}

/**
 * How much information picks carry. A user's picks are correlated, so n picks count as κn/(1 + εn)
 * independent ones.
 */
export interface Tempering {
  /** κ. */
  readonly perPick: number;
  /** ε. */
  readonly saturation: number;
}

/** A prior with the factorisation that every posterior needs. */
export interface PreparedChoice {
  readonly prior: ChoicePrior;
  readonly moments: FeatureMoments;
  readonly tempering: Tempering;
  /**
   * How rewards differ; null where users only pick items, so that rewards are the picks' weights.
   */
  readonly rewards: RewardSpread | null;
  /**
   * W, Q columns of length Q: WᵀΣ⁻¹W = I and WᵀCW = diag(λ), so that every posterior is diagonal.
   */
  readonly axes: Float64Array;
  /** λ. */
  readonly spread: Float64Array;
  /** W⁻¹μ. */
  readonly meanOnAxes: Float64Array;
}

/** Weight of the initial prior in a fit, in users. */
const PRIOR_USERS = 30;

/** n_e = κn/(1 + εn). */
export function effectiveCount(count: number, { perPick, saturation }: Tempering): number {
  return (perPick * count) / (1 + saturation * count);
}

/**
 * The prior before any feedback: no taste on average, and utilities of variance tr(ΣC) = `variance`
 * over the catalogue, independent of the scale of the features.
 */
export function initialChoicePrior({ mean, covariance }: FeatureMoments, variance: number): ChoicePrior {
  const size = mean.length;
  let trace = 0;
  for (let i = 0; i < size; i++) trace += covariance[packedLength(i) + i]!;
  return {
    mean: new Float64Array(size),
    covariance: packedDiagonal(new Float64Array(size).fill(trace > 0 ? variance / trace : 0)),
  };
}

/**
 * Diagonalises Σ and C together (Golub & Van Loan, Matrix Computations, 4th ed., section 8.7): Σ =
 * LLᵀ, LᵀCL = QΛQᵀ, W = LQ. Costs O(Q³) once per consolidation; a posterior then costs O(Q²).
 */
export function prepareChoice(
  prior: ChoicePrior,
  moments: FeatureMoments,
  tempering: Tempering,
  rewards: RewardSpread | null = null,
): PreparedChoice {
  const size = prior.mean.length;
  // A zero covariance has a zero root, so that every taste is zero.
  const l = cholesky(prior.covariance, size) ?? new Float64Array(packedLength(size));
  const half = new Float64Array(size * size);
  const inner = new Float64Array(size * size);
  for (let i = 0; i < size; i++)
    for (let j = 0; j < size; j++) {
      let sum = 0;
      for (let k = j; k < size; k++) sum += element(moments.covariance, i, k) * l[packedLength(k) + j]!;
      half[i * size + j] = sum;
    }
  for (let i = 0; i < size; i++)
    for (let j = 0; j <= i; j++) {
      let sum = 0;
      for (let k = i; k < size; k++) sum += l[packedLength(k) + i]! * half[k * size + j]!;
      inner[i * size + j] = sum;
      inner[j * size + i] = sum;
    }
  const { values, vectors } = symmetricEigen(inner, size);
  const axes = new Float64Array(size * size);
  const meanOnAxes = new Float64Array(size);
  const onRoot = forwardSolve(l, prior.mean);
  for (let axis = 0; axis < size; axis++) {
    const q = vectors.values.subarray(axis * size, (axis + 1) * size);
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let k = 0; k <= i; k++) sum += l[packedLength(i) + k]! * q[k]!;
      axes[axis * size + i] = sum;
    }
    for (let i = 0; i < size; i++) meanOnAxes[axis]! += q[i]! * onRoot[i]!;
  }
  const spread = values.map((value) => Math.max(0, value));
  return { prior, moments, tempering, rewards, axes, spread, meanOnAxes };
}

/**
 * Posterior mean of a user's coefficients, (Σ⁻¹ + n_e C)⁻¹(Σ⁻¹μ + (n_e/n)(b − ψ̄Σw)) (Gaussian
 * approximation; Bishop, Pattern Recognition and Machine Learning, 2006, section 4.4).
 */
export function choiceMean(picks: PickSums, prepared: PreparedChoice): Float64Array {
  return fromAxes(posterior(picks, prepared).onAxes, prepared);
}

/**
 * Draws a user's coefficients from their posterior, whose mean is {@link choiceMean}. They are
 * independent on the axes.
 * @param normal a source of standard normal numbers
 */
export function choiceDraw(picks: PickSums, prepared: PreparedChoice, normal: () => number): Float64Array {
  const { n, onAxes } = posterior(picks, prepared);
  const drawn = onAxes.map((mean, axis) => mean + normal() / Math.sqrt(1 + n * prepared.spread[axis]!));
  return fromAxes(drawn, prepared);
}

/** How ψ·m of {@link choiceMean} divides among the prior and past picks; see pulls.ts. */
export function choicePulls(
  picks: PickSums,
  { from, unit }: PickWeights,
  prepared: PreparedChoice,
): (psi: Float64Array) => Pulls {
  const { moments, axes, spread, meanOnAxes, tempering } = prepared;
  const size = meanOnAxes.length;
  const n = effectiveCount(picks.count, tempering);
  const weight = picks.count === 0 ? 0 : n / picks.count;
  return (psi) => {
    const onAxes = new Float64Array(size);
    for (let axis = 0; axis < size; axis++) {
      let share = 0;
      for (let i = 0; i < size; i++) share += axes[axis * size + i]! * psi[i]!;
      onAxes[axis] = share / (1 + n * spread[axis]!);
    }
    const weights = fromAxes(onAxes, prepared);
    const ofMean = dot(weights, moments.mean);
    return {
      prior: dot(onAxes, meanOnAxes),
      of: (past: PastRewards) =>
        (weight * (past.rewards - from * past.count) * (dot(weights, past.psi) - ofMean)) / unit,
    };
  };
}

function fromAxes(onAxes: Float64Array, { axes }: PreparedChoice): Float64Array {
  const size = onAxes.length;
  const m = new Float64Array(size);
  for (let axis = 0, at = 0; axis < size; axis++, at += size)
    for (let i = 0; i < size; i++) m[i]! += onAxes[axis]! * axes[at + i]!;
  return m;
}

/**
 * Logarithm of the tempered likelihood of a user's picks, with the coefficients integrated out; 0
 * for a prior without taste.
 */
export function choiceEvidence(picks: PickSums, prepared: PreparedChoice): number {
  const { n, natural, onAxes } = posterior(picks, prepared);
  let sum = 0;
  for (let axis = 0; axis < onAxes.length; axis++) {
    const mean = prepared.meanOnAxes[axis]!;
    sum += natural[axis]! * onAxes[axis]! - mean * mean - Math.log(1 + n * prepared.spread[axis]!);
  }
  return sum / 2;
}

/**
 * Expectation maximisation of the prior over users' picks (empirical Bayes for random coefficients;
 * Laird & Ware 1982), shrunken towards `base` with the weight of 30 users. Every user has the same
 * weight.
 */
export function fitChoicePrior(
  users: readonly PickSums[],
  moments: FeatureMoments,
  options: { base: ChoicePrior; start?: ChoicePrior; tempering: Tempering; steps: number },
): ChoicePrior {
  const { base, tempering } = options;
  const size = base.mean.length;
  const weight = users.length + PRIOR_USERS;
  let prior = options.start ?? base;
  for (let step = 0; step < options.steps; step++) {
    const prepared = prepareChoice(prior, moments, tempering);
    const means = users.map((user) => choiceMean(user, prepared));
    const mean = new Float64Array(size);
    for (const m of means) for (let i = 0; i < size; i++) mean[i]! += m[i]! / weight;
    const covariance = base.covariance.map((value) => PRIOR_USERS * value);
    for (const m of means)
      addOuterProduct(
        covariance,
        m.map((value, i) => value - mean[i]!),
      );
    const uncertain = new Float64Array(size);
    for (const { count } of users) {
      const n = effectiveCount(count, tempering);
      for (let axis = 0; axis < size; axis++) uncertain[axis]! += 1 / (1 + n * prepared.spread[axis]!);
    }
    for (let axis = 0; axis < size; axis++)
      addOuterProduct(covariance, prepared.axes.subarray(axis * size, (axis + 1) * size), uncertain[axis]!);
    prior = { mean, covariance: covariance.map((value) => value / weight) };
  }
  return prior;
}

/**
 * How high taste alone ranks a pick among items drawn by popularity: the probability that its ψ·m
 * exceeds that of such an item, with normal utilities. ½ without taste.
 */
export function pickPercentile(
  m: Float64Array,
  psi: Float64Array,
  { mean, covariance }: FeatureMoments,
): number {
  let above = 0;
  for (let i = 0; i < m.length; i++) above += m[i]! * (psi[i]! - mean[i]!);
  return percentileOf(above, quadraticForm(covariance, m));
}

/**
 * {@link pickPercentile} of a user's average pick, ranked by the other picks alone. It follows from
 * sums: without pick i, m is V·w_i(ψ_i − ψ̄)·n_e/n less, to first order, with V the posterior
 * covariance.
 * @param of Σψψᵀ of all interactions, with the offset, and their number. Where weights differ, the
 * features are taken to spread equally for all weights.
 */
export function leftOutPercentile(
  picks: PickSums,
  of: Pick<Statistics, 'gram' | 'count'>,
  prepared: PreparedChoice,
): number {
  if (picks.count === 0) return 0.5;
  const { moments, axes, spread, tempering } = prepared;
  const { mean, covariance } = moments;
  const size = mean.length;
  const n = effectiveCount(picks.count, tempering);
  const m = choiceMean(picks, prepared);
  const total = of.gram.subarray(packedLength(size));
  let above = 0;
  for (let i = 0; i < size; i++) above += m[i]! * (picks.sum[i]! - picks.weight * mean[i]!);
  for (let axis = 0; axis < size; axis++) {
    const w = axes.subarray(axis * size, (axis + 1) * size);
    const ofMean = dot(w, mean);
    const squares = quadraticForm(of.gram, w) - 2 * ofMean * dot(w, total) + of.count * ofMean * ofMean;
    above -= ((n / of.count) * squares) / (1 + n * spread[axis]!);
  }
  // Where likes and dislikes cancel, the weights hardly say what was picked.
  return percentileOf(above / Math.max(picks.weight, picks.count), quadraticForm(covariance, m));
}

/** The logistic approximation of the normal distribution, which differs by less than .01. */
function percentileOf(above: number, variance: number): number {
  return variance > 0 ? 1 / (1 + Math.exp((-1.702 * above) / Math.sqrt(variance))) : 0.5;
}

/** vᵀMv. */
function quadraticForm(packed: PackedSymmetric, v: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < v.length; i++)
    for (let j = 0; j <= i; j++) sum += (i === j ? 1 : 2) * v[i]! * v[j]! * packed[packedLength(i) + j]!;
  return sum;
}

/** The posterior on the axes: its mean, and Wᵀ times the linear term. */
function posterior(
  { count, weight: total, sum }: PickSums,
  { moments, tempering, axes, spread, meanOnAxes }: PreparedChoice,
) {
  const size = moments.mean.length;
  const n = effectiveCount(count, tempering);
  const weight = count === 0 ? 0 : n / count;
  const natural = new Float64Array(size);
  const onAxes = new Float64Array(size);
  for (let axis = 0, at = 0; axis < size; axis++, at += size) {
    let share = meanOnAxes[axis]!;
    for (let i = 0; i < size; i++) share += axes[at + i]! * weight * (sum[i]! - total * moments.mean[i]!);
    natural[axis] = share;
    onAxes[axis] = share / (1 + n * spread[axis]!);
  }
  return { n, natural, onAxes };
}

/** L⁻¹·v; zero where L is zero. */
function forwardSolve(l: PackedSymmetric, v: Float64Array): Float64Array {
  const x = v.slice();
  for (let i = 0, row = 0; i < x.length; row += ++i) {
    let sum = x[i]!;
    for (let k = 0; k < i; k++) sum -= l[row + k]! * x[k]!;
    x[i] = l[row + i]! === 0 ? 0 : sum / l[row + i]!;
  }
  return x;
}

function element(packed: PackedSymmetric, i: number, j: number): number {
  return i >= j ? packed[packedLength(i) + j]! : packed[packedLength(j) + i]!;
}
