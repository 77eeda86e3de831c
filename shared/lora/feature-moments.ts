import type { Statistics } from './statistics.ts';
import { addOuterProduct, type PackedSymmetric, packedLength } from './symmetric.ts';

/** Mean ψ̄ and covariance C of the features of items, without the offset. */
export interface FeatureMoments {
  /** ψ̄, length Q = P − 1. */
  readonly mean: Float64Array;
  /** C, packed, order Q. */
  readonly covariance: PackedSymmetric;
}

/** Weight of the catalogue items, in users with an average number of interactions. */
const START_USERS = 30;

/**
 * The moments of items, each with the same weight.
 * @param psi features of every item with the offset, length P; at least one
 */
export function momentsOfItems(psi: readonly Float64Array[]): FeatureMoments {
  const size = psi[0]!.length;
  const second = new Float64Array(packedLength(size));
  for (const row of psi) addOuterProduct(second, row, 1 / psi.length);
  return centredMoments(second, size);
}

/**
 * The moments of items weighted by the number of their interactions. Needs no catalogue, because
 * every user's G holds Σψψᵀ, and Σψ in its last row. A user's weight is bounded, n/(1 + εn), so
 * that no user dominates.
 * @param start the moments of the items themselves, with the weight of 30 users; undefined when
 * unknown
 * @param saturation ε
 * @returns undefined when there is no interaction and no start
 */
export function momentsOfFeedback(
  users: readonly Pick<Statistics, 'gram' | 'count'>[],
  start: FeatureMoments | undefined,
  saturation: number,
): FeatureMoments | undefined {
  const active = users.filter(({ count }) => count > 0);
  if (active.length === 0) return start;
  const length = active[0]!.gram.length;
  const size = Math.round((Math.sqrt(8 * length + 1) - 1) / 2);
  const second = new Float64Array(length);
  let total = 0;
  for (const { gram, count } of active) {
    const share = 1 / (1 + saturation * count);
    total += share * count;
    for (let i = 0; i < length; i++) second[i]! += share * gram[i]!;
  }
  if (start !== undefined) {
    const weight = (START_USERS * total) / active.length;
    addOuterProduct(second, Float64Array.of(...start.mean, 1), weight);
    for (let i = 0; i < start.covariance.length; i++) second[i]! += weight * start.covariance[i]!;
    total += weight;
  }
  for (let i = 0; i < length; i++) second[i]! /= total;
  return centredMoments(second, size);
}

/** E|ψ|², without the offset. */
export function meanSquare({ mean, covariance }: FeatureMoments): number {
  let sum = 0;
  for (let i = 0; i < mean.length; i++) sum += mean[i]! * mean[i]! + covariance[packedLength(i) + i]!;
  return sum;
}

/** From E[ψψᵀ] with the offset, whose last row is E[ψ]. */
function centredMoments(second: PackedSymmetric, size: number): FeatureMoments {
  const mean = second.slice(packedLength(size - 1), packedLength(size) - 1);
  const covariance = second.slice(0, packedLength(size - 1));
  addOuterProduct(covariance, mean, -1);
  return { mean, covariance };
}
