import { addOuterProduct, type PackedSymmetric, packedLength } from './symmetric.ts';

/**
 * A user's rewards as sums in float64, which do not depend on how the interactions were split into
 * updates. A residual reward is y = r − β, with β the item effect known when the interaction was
 * applied (0 when unknown).
 */
export interface Statistics {
  /** G = Σψψᵀ, packed, order P. Its last row holds Σψ. */
  readonly gram: PackedSymmetric;
  /** g = Σψy, length P. */
  readonly moment: Float64Array;
  /** yy = Σy². */
  readonly sumSquares: number;
  /** n, number of rewards. */
  readonly count: number;
  /** Σr, without item effects, for the user's mean reward. */
  readonly rewardSum: number;
}

export function emptyStatistics(coefficients: number): Statistics {
  return {
    gram: new Float64Array(packedLength(coefficients)),
    moment: new Float64Array(coefficients),
    sumSquares: 0,
    count: 0,
    rewardSum: 0,
  };
}

/**
 * Adds one interaction. Changes G and g of `statistics` in place, so pass a copy that nobody else
 * holds.
 */
export function addReward(
  statistics: Statistics,
  psi: Float64Array,
  reward: number,
  itemEffect: number,
): Statistics {
  const y = reward - itemEffect;
  addOuterProduct(statistics.gram, psi);
  for (let i = 0; i < psi.length; i++) statistics.moment[i]! += y * psi[i]!;
  return {
    ...statistics,
    sumSquares: statistics.sumSquares + y * y,
    count: statistics.count + 1,
    rewardSum: statistics.rewardSum + reward,
  };
}

export function copyStatistics(statistics: Statistics): Statistics {
  return { ...statistics, gram: statistics.gram.slice(), moment: statistics.moment.slice() };
}

/**
 * The moments of y − g0 instead of y. Exact, because Σψ is the last row of G. The mean reward g0
 * may therefore change at any time.
 * @returns g − g0·Σψ and Σ(y − g0)²
 */
export function centred(
  statistics: Statistics,
  meanReward: number,
): { moment: Float64Array; sumSquares: number } {
  const { gram, moment, sumSquares, count } = statistics;
  const size = moment.length;
  const lastRow = gram.subarray(packedLength(size - 1));
  return {
    moment: moment.map((value, i) => value - meanReward * lastRow[i]!),
    sumSquares: sumSquares - 2 * meanReward * moment[size - 1]! + meanReward * meanReward * count,
  };
}
