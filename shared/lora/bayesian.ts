import { InvalidInputError, shown } from '../errors.ts';
import { type Basis, coefficientCount, features, project, vectorNorm } from './basis.ts';
import { carryStatistics, carryTargets } from './carry-over.ts';
import { choiceDraw, choiceMean, choicePulls, type PreparedChoice, pickPercentile } from './choice.ts';
import type { LoraWeights } from './forward.ts';
import { pickWeights } from './pick-weights.ts';
import { addPick, carryPicks, emptyPicks, type Picks, pickSums, picksOf, recordRank } from './picks.ts';
import {
  chunksOf,
  NO_PREDICTIONS,
  type PredictedReward,
  type PrequentialRecord,
  recordPrediction,
  shrunkenMean,
} from './prequential.ts';
import { posteriorDraws, posteriorMean, rewardPulls } from './prior.ts';
import type { Pulls } from './pulls.ts';
import { addReward, copyStatistics, emptyStatistics, type Statistics } from './statistics.ts';
import { dot } from './symmetric.ts';
import { addTarget, emptyTargetSums, solveTargets, type TargetSums } from './target-regression.ts';
import { checkInteractions, type Model, type Training, type TrainingInteraction } from './training.ts';

/**
 * An interaction that is buffered until the first basis. Vectors are divided by the item's length
 * and rounded to float16.
 */
export type BufferedInteraction =
  | { readonly embedding: Float16Array; readonly residualReward: number; readonly reward: number }
  | { readonly embedding: Float16Array; readonly target: Float16Array };

/** The learned state of one user. Immutable. */
export interface BayesianState {
  readonly learner: 'bayesian';
  readonly basisId: string | null;
  readonly statistics: Statistics;
  /**
   * The same rewards as picks. Null in states of earlier versions, where they are derived from the
   * statistics.
   */
  readonly picks: Picks | null;
  readonly targets: TargetSums | null;
  /** Oldest first, at most 200; empty once there is a basis. */
  readonly buffered: readonly BufferedInteraction[];
  readonly record: PrequentialRecord;
}

/** Most interactions buffered until the first basis. */
export const MAX_BUFFERED = 200;

export function createBayesianState(basis: Basis | null): BayesianState {
  return {
    learner: 'bayesian',
    basisId: basis?.id ?? null,
    statistics: emptyStatistics(coefficientCount(basis)),
    picks: emptyPicks(coefficientCount(basis)),
    targets: null,
    buffered: [],
    record: NO_PREDICTIONS,
  };
}

/**
 * Learns from the interactions of one feedback event, in order. Each chunk is predicted before it
 * is learned. The sums depend on the events and their order only, not on how events were split into
 * updates or chunks.
 * @throws InvalidInputError when an embedding has the wrong length or a number is not finite;
 * `state` is unchanged
 */
export function train(
  state: BayesianState,
  model: Model,
  interactions: readonly TrainingInteraction[],
): Training<BayesianState> {
  checkModel(model);
  const start = adoptBasis(state, model);
  checkInteractions(interactions, dimensionOf(start, model.basis, interactions));
  const picks = start.picks ?? picksOf(start.statistics);
  const learned: Learning = {
    statistics: copyStatistics(start.statistics),
    picks: { ...picks, sum: picks.sum.slice() },
    targets: start.targets,
    buffered: [...start.buffered],
    predictions: [],
  };
  // Solved once per event, so that a reward's residual does not depend on how the event is split
  // into chunks.
  const targetWeights = start.targets === null ? null : solveTargets(start.targets, model.basis!);
  for (const chunk of chunksOf(interactions)) learnChunk(learned, chunk, model, targetWeights);
  const { predictions, buffered, ...sums } = learned;
  const next: BayesianState = {
    learner: 'bayesian',
    basisId: model.basis?.id ?? null,
    ...sums,
    buffered: buffered.slice(-MAX_BUFFERED),
    record: predictions.reduce(recordPrediction, start.record),
  };
  return { state: next, predictions };
}

/** What one event has changed so far. Nobody else holds its sums, so they are updated in place. */
interface Learning {
  statistics: Statistics;
  picks: Picks;
  targets: TargetSums | null;
  readonly buffered: BufferedInteraction[];
  readonly predictions: PredictedReward[];
}

function learnChunk(
  learned: Learning,
  chunk: readonly TrainingInteraction[],
  model: Model,
  targetWeights: Float64Array | null,
): void {
  const { basis, prior, choice } = model;
  const mean = posteriorMean(learned.statistics, prior);
  const userMean = shrunkenMean(learned.statistics, prior.meanReward);
  const taste = choice == null ? null : tasteOf(learned, choice);
  const psi = new Float64Array(coefficientCount(basis));
  for (const interaction of chunk) {
    const { embedding, itemEffect } = interaction;
    if ('target' in interaction) {
      learnTarget(learned, basis, embedding, interaction.target);
      continue;
    }
    const { reward } = interaction;
    features(basis, embedding, psi);
    const ranked =
      choice && taste !== null
        ? {
            percentile: pickPercentile(taste, psi, choice.moments),
            least: choice.rewards === null ? Number.MIN_VALUE : Math.max(Number.MIN_VALUE, userMean),
          }
        : null;
    // The reward block learns only what the target block does not explain. Rewards differ by 1 at
    // most, so no target explains more.
    const share = targetShare(targetWeights, basis, embedding);
    const known = Math.min(1, Math.max(-1, itemEffect + share));
    const expected = prior.meanReward + dot(psi, mean) + known - itemEffect;
    const prediction = {
      reward,
      predicted: expected + itemEffect,
      predictedByUserMean: userMean,
      predictedByWarmStart: prior.meanReward + itemEffect + dot(psi, prior.mean),
    };
    learned.predictions.push({
      ...prediction,
      itemResidual: reward - expected,
      learned: { ...prediction, known, ranked },
    });
    learned.statistics = addReward(learned.statistics, psi, reward, known);
    if (ranked !== null && reward >= ranked.least)
      learned.picks = { ...learned.picks, ranking: recordRank(learned.picks.ranking, ranked.percentile) };
    learned.picks = addPick(learned.picks, psi, reward);
    if (basis === null) {
      learned.buffered.push({
        embedding: halved(embedding, embedding),
        residualReward: reward - known,
        reward,
      });
    }
  }
}

function learnTarget(
  learned: Learning,
  basis: Basis | null,
  embedding: Float32Array,
  target: Float32Array,
): void {
  if (basis === null) {
    learned.buffered.push({ embedding: halved(embedding, embedding), target: halved(target, embedding) });
  } else {
    learned.targets = addTarget(learned.targets ?? emptyTargetSums(basis), basis, embedding, target);
  }
}

/**
 * B = unvec(Π·m) + C, with m of the choice model if there is one, otherwise of the rewards. Without
 * a basis B is empty.
 */
export function solveWeights(state: BayesianState, model: Model): LoraWeights {
  checkModel(model);
  const { targets, ...sums } = adoptBasis(state, model);
  const mean = coefficientsOf(sums, model);
  const offset = mean[mean.length - 1]!;
  if (model.basis === null) return { b: new Float32Array(0), offset };
  const { projection, projectionDim: p, rank } = model.basis;
  const c = targets === null ? null : solveTargets(targets, model.basis);
  const b = new Float32Array(model.basis.embeddingDim * rank);
  addTaste(projection, p, mean, c, b);
  return { b, offset };
}

/**
 * m, with which the score of an item is ψ·m: of the choice model if there is one, otherwise of the
 * rewards. Null for a user with target embeddings, whose scores are not linear in ψ.
 */
export function solveCoefficients(state: BayesianState, model: Model): Float64Array | null {
  checkModel(model);
  const { targets, ...sums } = adoptBasis(state, model);
  return targets === null ? coefficientsOf(sums, model) : null;
}

/**
 * Draws the m of {@link solveCoefficients} from its posterior (Thompson 1933).
 * @returns a function that makes one draw from a source of standard normal numbers
 */
export function solveDraws(
  state: BayesianState,
  model: Model,
): ((normal: () => number) => Float64Array) | null {
  checkModel(model);
  const { targets, statistics, picks } = adoptBasis(state, model);
  if (targets !== null) return null;
  const { choice } = model;
  if (!choice) return posteriorDraws(statistics, model.prior);
  const sums = pickSums(statistics, picks ?? picksOf(statistics), choice.rewards);
  return (normal) => Float64Array.of(...choiceDraw(sums, choice, normal), 0);
}

/**
 * Divides a user's scores among the past rewards. Null for a user with target embeddings, whose
 * scores are not linear in rewards. The prior and the pulls of all rewards add up to ψ·m.
 * @returns a function that divides the score for the ψ of an item, length P
 */
export function solvePulls(state: BayesianState, model: Model): ((psi: Float64Array) => Pulls) | null {
  checkModel(model);
  const { targets, statistics, picks } = adoptBasis(state, model);
  if (targets !== null) return null;
  const { choice } = model;
  if (!choice) return rewardPulls(statistics, model.prior);
  const sums = pickSums(statistics, picks ?? picksOf(statistics), choice.rewards);
  return choicePulls(sums, pickWeights(statistics, choice.rewards), choice);
}

/**
 * m, length P. The choice model has no offset, because it ranks items and does not predict rewards.
 */
function coefficientsOf(
  { statistics, picks }: Pick<BayesianState, 'statistics' | 'picks'>,
  { prior, choice }: Model,
): Float64Array {
  if (!choice) return posteriorMean(statistics, prior);
  return Float64Array.of(...tasteOf({ statistics, picks }, choice), 0);
}

/** m under the choice model, without the offset. */
function tasteOf(
  { statistics, picks }: Pick<BayesianState, 'statistics' | 'picks'>,
  choice: PreparedChoice,
): Float64Array {
  return choiceMean(pickSums(statistics, picks ?? picksOf(statistics), choice.rewards), choice);
}

/**
 * The user's state under the model's basis. The first basis learns from the buffered interactions;
 * sums of an earlier basis are carried over.
 * @throws InvalidInputError when sums cannot be carried over, or buffered embeddings have another
 * length
 */
export function adoptBasis(state: BayesianState, model: Model): BayesianState {
  const { basis, carryOvers = [] } = model;
  if (state.basisId === (basis?.id ?? null)) return state;
  const carryOver = carryOvers.find(({ fromBasisId }) => fromBasisId === state.basisId);
  if (basis !== null && carryOver !== undefined) {
    const { statistics, picks, targets } = state;
    return {
      ...state,
      basisId: basis.id,
      statistics: carryStatistics(statistics, carryOver),
      picks: carryPicks(picks ?? picksOf(statistics), carryOver.featureMap),
      targets: targets === null ? null : carryTargets(targets, carryOver),
    };
  }
  if (state.basisId !== null || basis === null) {
    throw new InvalidInputError('state.basisId', shown(state.basisId), shown(basis?.id ?? null));
  }
  const bufferedDim = state.buffered[0]?.embedding.length ?? basis.embeddingDim;
  if (bufferedDim !== basis.embeddingDim) {
    const expected = `embeddings of ${basis.embeddingDim}`;
    throw new InvalidInputError('state.buffered', `embeddings of ${bufferedDim} numbers`, expected);
  }
  let statistics = emptyStatistics(coefficientCount(basis));
  let picks = emptyPicks(coefficientCount(basis));
  let targets: TargetSums | null = null;
  const psi = new Float64Array(coefficientCount(basis));
  for (const interaction of state.buffered) {
    if ('target' in interaction) {
      targets = addTarget(
        targets ?? emptyTargetSums(basis),
        basis,
        interaction.embedding,
        interaction.target,
      );
    } else {
      features(basis, interaction.embedding, psi);
      statistics = addReward(statistics, psi, interaction.residualReward, 0);
      statistics = {
        ...statistics,
        rewardSum: statistics.rewardSum - interaction.residualReward + interaction.reward,
      };
      picks = addPick(picks, psi, interaction.reward);
    }
  }
  return { ...state, basisId: basis.id, statistics, picks, targets, buffered: [] };
}

/** s·⟨x, C·A·x⟩/⟨x, x⟩. */
function targetShare(c: Float64Array | null, basis: Basis | null, x: Float32Array): number {
  if (c === null || basis === null) return 0;
  const norm = vectorNorm(x);
  if (norm === 0) return 0;
  const z = project(basis.a, x, basis.rank);
  let sum = 0;
  for (let i = 0; i < x.length; i++)
    for (let k = 0; k < basis.rank; k++) sum += x[i]! * c[i * basis.rank + k]! * z[k]!;
  return (basis.scale * sum) / (norm * norm);
}

/** vector/|unit| in float16; zero when there is no unit. */
export function halved(vector: Float32Array, unit: Float32Array): Float16Array {
  const norm = vectorNorm(unit);
  return Float16Array.from(vector, (value) => (norm === 0 ? 0 : value / norm));
}

/** d of the basis, of the buffered interactions, or of the new ones, in this order. */
function dimensionOf(
  state: BayesianState,
  basis: Basis | null,
  interactions: readonly TrainingInteraction[],
): number {
  return basis?.embeddingDim ?? state.buffered[0]?.embedding.length ?? interactions[0]?.embedding.length ?? 0;
}

function checkModel({ basis, prior }: Model): void {
  if (prior.basisId !== (basis?.id ?? null)) {
    throw new InvalidInputError('model.prior.basisId', shown(prior.basisId), shown(basis?.id ?? null));
  }
}

/**
 * B = Π·m + C. Four rows at a time do not wait for each other; each adds its products in the order
 * of the columns.
 */
export function addTaste(
  projection: Float32Array,
  p: number,
  m: Float64Array,
  c: Float64Array | null,
  b: Float32Array,
): void {
  const fours = b.length - (b.length % 4);
  let row = 0;
  for (; row < fours; row += 4) {
    let s0 = c === null ? 0 : c[row]!;
    let s1 = c === null ? 0 : c[row + 1]!;
    let s2 = c === null ? 0 : c[row + 2]!;
    let s3 = c === null ? 0 : c[row + 3]!;
    for (let j = 0, at = row * p; j < p; j++, at++) {
      const mj = m[j]!;
      s0 += projection[at]! * mj;
      s1 += projection[at + p]! * mj;
      s2 += projection[at + 2 * p]! * mj;
      s3 += projection[at + 3 * p]! * mj;
    }
    b[row] = s0;
    b[row + 1] = s1;
    b[row + 2] = s2;
    b[row + 3] = s3;
  }
  for (; row < b.length; row++) {
    let sum = c === null ? 0 : c[row]!;
    for (let j = 0, at = row * p; j < p; j++, at++) sum += projection[at]! * m[j]!;
    b[row] = sum;
  }
}
