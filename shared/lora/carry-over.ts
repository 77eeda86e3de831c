import { InvalidInputError } from '../errors.ts';
import {
  type Basis,
  coefficientCount,
  features,
  MAX_SAMPLE,
  project,
  sampleEvenly,
  vectorNorm,
} from './basis.ts';
import type { Statistics } from './statistics.ts';
import {
  addOuterProduct,
  cholesky,
  choleskySolve,
  dot,
  multiply,
  type PackedSymmetric,
  packedLength,
} from './symmetric.ts';
import type { TargetSums } from './target-regression.ts';

/**
 * Carries sums from one basis to the basis that replaced it: ψ' ≈ Tψ, z' ≈ Uz. The part of ψ' that
 * is not a combination of ψ is lost, so the sums carry less information, but no wrong information.
 * The constant coordinate is mapped exactly, so offset and mean reward do not change.
 */
export interface CarryOver {
  readonly fromBasisId: string;
  /** T, P' rows of length P; the last is (0, …, 0, 1). */
  readonly featureMap: readonly Float64Array[];
  /** U, r' rows of length r. */
  readonly latentMap: readonly Float64Array[];
  /**
   * Mean squared residual of ψ' divided by the variance of ψ': 0 when nothing is lost, 1 when
   * everything is.
   */
  readonly loss: number;
}

/** A basis with the maps from its predecessors. */
export interface ReplacedBasis {
  readonly basis: Basis;
  readonly carryOvers?: readonly CarryOver[] | undefined;
}

/**
 * From this many embeddings per coefficient on, the loss is measured on embeddings that T was not
 * fitted to.
 */
const ENOUGH_PER_COEFFICIENT = 4;
/** One of so many embeddings is held out to measure the loss. */
const HELD_OUT = 5;
/**
 * Ridge of the fit, relative to the mean of Σψ². Keeps T finite when items do not span the old
 * basis.
 */
const RIDGE = 1e-6;
/** Most earlier bases whose adapters can be carried over. */
const MAX_PREDECESSORS = 4;

/**
 * The maps from earlier bases to a new one: fitted for the basis that it replaces, composed for
 * that one's predecessors.
 * @param replaced undefined for the first basis, which has no predecessors
 * @param embeddings items to fit on, each of length d; zero vectors are skipped, and at most 2,000
 * are used
 * @returns newest predecessor first, at most 4
 * @throws InvalidInputError when embeddings have the wrong length, or all are zero
 */
export function carryOversTo(
  basis: Basis,
  replaced: ReplacedBasis | undefined,
  embeddings: readonly ArrayLike<number>[],
): CarryOver[] {
  if (replaced === undefined) return [];
  const last = fitCarryOver(replaced.basis, basis, embeddings);
  // A basis that returns is not its own predecessor.
  const earlier = (replaced.carryOvers ?? []).filter(({ fromBasisId }) => fromBasisId !== basis.id);
  return [last, ...earlier.map((before) => compose(before, last))].slice(0, MAX_PREDECESSORS);
}

/**
 * The least-squares map between the features of two bases over some items. With enough items, its
 * loss is measured on a fifth of them with a map fitted to the others; otherwise on the items that
 * it is fitted to.
 * @throws InvalidInputError when embeddings have the wrong length, or all are zero
 */
export function fitCarryOver(from: Basis, to: Basis, embeddings: readonly ArrayLike<number>[]): CarryOver {
  const { embeddingDim } = to;
  const items = sampleEvenly(
    embeddings.filter((x) => x.length === embeddingDim && vectorNorm(x) > 0),
    MAX_SAMPLE,
  );
  if (from.embeddingDim !== embeddingDim || items.length === 0) {
    const found = `${items.length} with a direction, of bases of ${from.embeddingDim} and ${embeddingDim} numbers`;
    throw new InvalidInputError('embeddings', found, 'embeddings of both bases');
  }
  const pairs = items.map((x) => ({ psi: featuresOf(from, x), wanted: featuresOf(to, x) }));
  const enough = pairs.length >= ENOUGH_PER_COEFFICIENT * coefficientCount(from);
  const fitted = enough ? pairs.filter((_, i) => i % HELD_OUT !== 0) : pairs;
  const measured = enough ? pairs.filter((_, i) => i % HELD_OUT === 0) : pairs;
  return {
    fromBasisId: from.id,
    featureMap: leastSquares(pairs),
    latentMap: latentMap(from, to),
    loss: lossOf(leastSquares(fitted), measured),
  };
}

/** The map of a followed by b. The loss is an estimate that treats both losses as independent. */
function compose(a: CarryOver, b: CarryOver): CarryOver {
  return {
    fromBasisId: a.fromBasisId,
    featureMap: product(b.featureMap, a.featureMap),
    latentMap: product(b.latentMap, a.latentMap),
    loss: 1 - (1 - a.loss) * (1 - b.loss),
  };
}

/** G' = TGTᵀ and g' = Tg; sums without features do not change. */
export function carryStatistics(statistics: Statistics, { featureMap }: CarryOver): Statistics {
  return {
    ...statistics,
    gram: sandwich(featureMap, statistics.gram),
    moment: Float64Array.from(featureMap, (row) => dot(row, statistics.moment)),
  };
}

/** S_zz' = U·S_zz·Uᵀ and S_tz' = S_tz·Uᵀ. */
export function carryTargets({ szz, stz, count }: TargetSums, { latentMap }: CarryOver): TargetSums {
  const rank = latentMap[0]!.length;
  const rows = Array.from({ length: stz.length / rank }, (_, i) => stz.subarray(i * rank, (i + 1) * rank));
  return {
    szz: sandwich(latentMap, szz),
    stz: Float64Array.from(rows.flatMap((row) => latentMap.map((map) => dot(map, row)))),
    count,
  };
}

interface Pair {
  readonly psi: Float64Array;
  readonly wanted: Float64Array;
}

function featuresOf(basis: Basis, x: ArrayLike<number>): Float64Array {
  const psi = new Float64Array(coefficientCount(basis));
  features(basis, x, psi);
  return psi;
}

/** T = (Σψ'ψᵀ)(Σψψᵀ + λI)⁻¹; the constant coordinate maps to itself. */
function leastSquares(pairs: readonly Pair[]): Float64Array[] {
  const size = pairs[0]!.psi.length;
  const outputs = pairs[0]!.wanted.length;
  const moment = new Float64Array(packedLength(size));
  const cross = Array.from({ length: outputs }, () => new Float64Array(size));
  for (const { psi, wanted } of pairs) {
    addOuterProduct(moment, psi);
    cross.forEach((row, i) => {
      for (let j = 0; j < size; j++) row[j]! += wanted[i]! * psi[j]!;
    });
  }
  const last = size - 1;
  let squares = 0;
  for (let i = 0; i < last; i++) squares += moment[packedLength(i) + i]!;
  // Where everything is zero, any ridge works.
  for (let i = 0; i < last; i++) moment[packedLength(i) + i]! += (RIDGE * squares) / last || 1;
  const l = cholesky(moment, size)!;
  return cross.map((row, i) =>
    i === outputs - 1 ? Float64Array.from(row, (_, j) => Number(j === last)) : choleskySolve(l, row),
  );
}

/**
 * U = (s'/s)·A'Aᵀ. The part of an item outside A's principal directions is uncorrelated with the
 * part inside.
 */
function latentMap(from: Basis, to: Basis): Float64Array[] {
  const { embeddingDim: d } = from;
  const columns = Array.from({ length: from.rank }, (_, k) =>
    project(to.a, from.a.subarray(k * d, (k + 1) * d), to.rank),
  );
  return Array.from({ length: to.rank }, (_, i) =>
    Float64Array.from(columns, (column) => (to.scale / from.scale) * column[i]!),
  );
}

/**
 * Mean squared residual of the map over the pairs, divided by the variance of the wanted features.
 */
function lossOf(map: readonly Float64Array[], pairs: readonly Pair[]): number {
  const mean = map.map((_, i) => pairs.reduce((sum, { wanted }) => sum + wanted[i]!, 0) / pairs.length);
  let residual = 0;
  let variance = 0;
  for (const { psi, wanted } of pairs) {
    map.forEach((row, i) => {
      residual += (wanted[i]! - dot(row, psi)) ** 2;
      variance += (wanted[i]! - mean[i]!) ** 2;
    });
  }
  return variance === 0 ? 0 : Math.min(1, residual / variance);
}

/** M·S·Mᵀ, packed. */
function sandwich(map: readonly Float64Array[], symmetric: PackedSymmetric): PackedSymmetric {
  const half = map.map((row) => multiply(symmetric, row));
  return Float64Array.from(map.flatMap((row, i) => half.slice(0, i + 1).map((column) => dot(row, column))));
}

function product(p: readonly Float64Array[], q: readonly Float64Array[]): Float64Array[] {
  return p.map((row) =>
    Float64Array.from(q[0]!, (_, j) => row.reduce((sum, value, k) => sum + value * q[k]![j]!, 0)),
  );
}
