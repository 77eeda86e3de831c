import { InvalidInputError } from '../errors.ts';
import { type AdapterShape, type DownProjection, vectorNorm } from './basis.ts';
import { CONSOLIDATION_STEPS, type ElasticMatrix, elasticMatrix, elasticStep } from './elastic-weights.ts';
import { type LoraAdapter, userPart } from './forward.ts';
import { type Gradient, type RegressionBatch, regressionGradient } from './gradient.ts';
import { resolveHyperparameters, SGD_HYPERPARAMETERS } from './hyperparameters.ts';
import {
  chunksOf,
  NO_PREDICTIONS,
  type PredictedReward,
  type PrequentialRecord,
  recordPrediction,
  shrunkenMean,
} from './prequential.ts';
import { createRandom } from './random.ts';
import { checkInteractions, type Model, type Training, type TrainingInteraction } from './training.ts';

/** The learned state of one user under stochastic gradient descent. Immutable. */
export interface SgdState {
  readonly learner: 'sgd';
  /** d. */
  readonly embeddingDim: number;
  /** r. */
  readonly rank: number;
  /** s = scalingFactor / rank. */
  readonly scale: number;
  /** A, r×d, row-major. */
  readonly a: ElasticMatrix;
  /** B, d×r, row-major. */
  readonly b: ElasticMatrix;
  /** Number of steps: one per chunk of an event. */
  readonly steps: number;
  /** Rewards learned from, and their sum. */
  readonly count: number;
  readonly rewardSum: number;
  readonly record: PrequentialRecord;
}

/**
 * The state of a user without feedback: B = 0, and A of the basis. Without a basis A is
 * Xavier-uniform with one seed for all users (Glorot & Bengio 2010), so that their adapters merge
 * exactly.
 */
export function createSgdState(model: Model, shape: AdapterShape): SgdState {
  const a = model.basis?.a ?? xavierUniform(shape);
  return sgdStateFrom({ ...shape, a }, new Float32Array(a.length));
}

/** A state with given matrices, such as those of an imported or merged adapter. */
export function sgdStateFrom({ embeddingDim, rank, scale, a }: DownProjection, b: Float32Array): SgdState {
  return {
    learner: 'sgd',
    embeddingDim,
    rank,
    scale,
    a: elasticMatrix(a),
    b: elasticMatrix(b),
    steps: 0,
    count: 0,
    rewardSum: 0,
    record: NO_PREDICTIONS,
  };
}

/**
 * Predicts each chunk of the interactions of one feedback event and then takes one step on it, in
 * order. Items are scaled to unit length; zero items are ignored.
 * @throws InvalidInputError when an interaction is malformed, or the state is not finite; `state`
 * is unchanged
 */
export function trainSgd(
  state: SgdState,
  model: Model,
  interactions: readonly TrainingInteraction[],
): Training<SgdState> {
  checkInteractions(interactions, state.embeddingDim);
  let learned = state;
  const predictions: PredictedReward[] = [];
  for (const chunk of chunksOf(interactions)) {
    const training = step(learned, model, chunk);
    learned = training.state;
    predictions.push(...training.predictions);
  }
  return { state: learned, predictions };
}

function step(
  state: SgdState,
  model: Model,
  interactions: readonly TrainingInteraction[],
): Training<SgdState> {
  const { rank, scale } = state;
  const { learningRate, gradientClipThreshold, ewcLambda } = resolveHyperparameters(
    SGD_HYPERPARAMETERS,
    model.hyperparameters,
  ) as Record<keyof typeof SGD_HYPERPARAMETERS, number>;
  const predictions = predict(state, model, interactions);
  const batch = regressionBatch(state, model, interactions);
  const learned = {
    ...state,
    count: state.count + predictions.length,
    rewardSum: predictions.reduce((sum, { reward }) => sum + reward, state.rewardSum),
    record: predictions.reduce(recordPrediction, state.record),
  };
  if (batch.count === 0) return { state: learned, predictions };

  // Gradient by A and s·B, so that a learning rate has the same effect at every scaling factor.
  const b = state.b.values;
  const a64 = new Float64Array(state.a.values);
  const b64 = new Float64Array(b.length);
  for (let i = 0; i < b64.length; i++) b64[i] = scale * b[i]!;
  const gradient = { a: new Float64Array(a64.length), b: new Float64Array(b64.length) };
  regressionGradient({ rank, scale: 1, a: a64, b: b64 }, batch, gradient);
  const norm = normOf(gradient);
  if (!Number.isFinite(norm)) {
    throw new InvalidInputError('state', 'a gradient that is not finite', 'finite parameters');
  }
  const clip = norm > gradientClipThreshold ? gradientClipThreshold / norm : 1;
  const steps = state.steps + 1;
  const options = {
    rate: learningRate,
    strength: ewcLambda,
    consolidate: steps % CONSOLIDATION_STEPS === 0,
  };
  const next = {
    a: elasticStep(state.a, gradient.a, clip, { ...options, unit: 1 }),
    b: elasticStep(state.b, gradient.b, clip, { ...options, unit: scale }),
  };
  return { state: { ...learned, ...next, steps }, predictions };
}

/**
 * The adapter. Its offset is the user's shrunken mean reward minus the mean reward of all users.
 */
export function solveSgd(state: SgdState, model: Model): LoraAdapter {
  const { embeddingDim, rank, scale } = state;
  const { meanReward } = model.prior;
  return {
    basis: { embeddingDim, rank, scale, a: state.a.values },
    b: state.b.values,
    offset: shrunkenMean(state, meanReward) - meanReward,
  };
}

function predict(
  state: SgdState,
  model: Model,
  interactions: readonly TrainingInteraction[],
): PredictedReward[] {
  const adapter = solveSgd(state, model);
  const { meanReward } = model.prior;
  const predictedByUserMean = shrunkenMean(state, meanReward);
  return interactions.flatMap((interaction) => {
    if (!('reward' in interaction)) return [];
    const { embedding, itemEffect, reward } = interaction;
    const expected = meanReward + userPart(adapter, embedding);
    return {
      reward,
      predicted: expected + itemEffect,
      predictedByUserMean,
      predictedByWarmStart: meanReward + itemEffect,
      itemResidual: reward - expected,
    };
  });
}

/**
 * Items of unit length with their regression targets: the target embedding, or a multiple of the
 * item by its reward.
 */
function regressionBatch(
  state: SgdState,
  model: Model,
  interactions: readonly TrainingInteraction[],
): RegressionBatch {
  const d = state.embeddingDim;
  const userMean = shrunkenMean(state, model.prior.meanReward);
  const items = new Float64Array(interactions.length * d);
  const gaps = new Float64Array(interactions.length * d);
  let count = 0;
  for (const interaction of interactions) {
    const { embedding, itemEffect } = interaction;
    const norm = vectorNorm(embedding);
    if (norm === 0) continue;
    const at = count * d;
    const unit = 1 / norm;
    if ('target' in interaction) {
      const { target } = interaction;
      for (let i = 0; i < d; i++) {
        items[at + i] = unit * embedding[i]!;
        gaps[at + i] = unit * (embedding[i]! - target[i]!);
      }
    } else {
      const { reward } = interaction;
      const excess = userMean + itemEffect - reward;
      for (let i = 0; i < d; i++) {
        const x = unit * embedding[i]!;
        items[at + i] = x;
        gaps[at + i] = excess * x;
      }
    }
    count += 1;
  }
  return { count, items, gaps };
}

/** Euclidean norm of both together. */
function normOf({ a, b }: Gradient): number {
  let squares = 0;
  for (let i = 0; i < a.length; i++) squares += a[i]! * a[i]! + b[i]! * b[i]!;
  return Math.sqrt(squares);
}

function xavierUniform({ embeddingDim, rank }: AdapterShape): Float32Array {
  const random = createRandom(`A ${rank}x${embeddingDim}`);
  const limit = Math.sqrt(6 / (embeddingDim + rank));
  return Float32Array.from({ length: rank * embeddingDim }, () => (2 * random.next() - 1) * limit);
}
