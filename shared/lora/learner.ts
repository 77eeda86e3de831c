import type { AdapterShape, Basis } from './basis.ts';
import {
  type BayesianState,
  createBayesianState,
  solveCoefficients,
  solveDraws,
  solvePulls,
  solveWeights,
  train,
} from './bayesian.ts';
import type { LoraAdapter } from './forward.ts';
import { type Hyperparameter, resolveHyperparameters, SGD_HYPERPARAMETERS } from './hyperparameters.ts';
import { NOTHING_RANKED } from './picks.ts';
import { isShownWorse, type ServingMode, servingMode, shrunkenMean } from './prequential.ts';
import { initialPriorOf } from './prior.ts';
import type { Pulls } from './pulls.ts';
import { createSgdState, type SgdState, solveSgd, trainSgd } from './sgd.ts';
import type { Model, Training, TrainingInteraction } from './training.ts';

interface StateOf {
  readonly bayesian: BayesianState;
  readonly sgd: SgdState;
}

export type LearnerName = keyof StateOf;

/** The learner's state of one user; `state.learner` names the learner. */
export type LearnerState = StateOf[LearnerName];

/** A learner: turns interactions into adapters. All functions are pure. See docs/learners.md. */
export interface Learner<Name extends LearnerName> {
  readonly name: Name;
  /** Its hyperparameters, with the bounds for configured values and hints. */
  readonly hyperparameters: Readonly<Record<string, Hyperparameter>>;
  /** The state of a user without feedback. */
  create(model: Model, shape: AdapterShape): StateOf[Name];
  /**
   * Predicts the rewards of one feedback event, then learns from them.
   * @throws InvalidInputError when an interaction is malformed; `state` is unchanged
   */
  train(
    state: StateOf[Name],
    model: Model,
    interactions: readonly TrainingInteraction[],
  ): Training<StateOf[Name]>;
  /** The adapter under the current model. */
  solve(state: StateOf[Name], model: Model): LoraAdapter;
}

const LEARNERS: { readonly [Name in LearnerName]: Learner<Name> } = {
  bayesian: {
    name: 'bayesian',
    hyperparameters: {
      /** τ², the initial prior variance of a coefficient of s·B, in units of the noise variance. */
      priorVariance: { default: 10, minimum: 0.01, maximum: 1000 },
    },
    create: ({ basis }) => createBayesianState(basis),
    train,
    solve: (state, model) => ({ basis: model.basis, ...solveWeights(state, model) }),
  },
  sgd: {
    name: 'sgd',
    hyperparameters: SGD_HYPERPARAMETERS,
    create: createSgdState,
    train: trainSgd,
    solve: solveSgd,
  },
};

export const LEARNER_NAMES = Object.keys(LEARNERS) as readonly LearnerName[];

export function learnerOf<Name extends LearnerName>(name: Name): Learner<Name> {
  return LEARNERS[name];
}

/**
 * Whether weights solved from the state still belong to the model's basis. The prior may have
 * changed since.
 */
export function isSolvedFor(state: LearnerState, { basis }: Model): boolean {
  return state.learner !== 'bayesian' || state.basisId === (basis?.id ?? null);
}

/**
 * Whether the state belongs to the model's basis, can be carried over to it, or is buffered for the
 * first basis.
 */
export function knowsBasisOf({ basis, carryOvers = [] }: Model, state: LearnerState): boolean {
  if (state.learner !== 'bayesian' || state.basisId === null || state.basisId === basis?.id) return true;
  return carryOvers.some(({ fromBasisId }) => fromBasisId === state.basisId);
}

/** The adapter of a user without feedback: the mean of the prior. */
export function warmStart(model: Model): LoraAdapter {
  return LEARNERS.bayesian.solve(createBayesianState(model.basis), model);
}

/**
 * m of a user, offset last; null when scores are not linear in ψ. Without a state, the m of a user
 * without feedback.
 */
export function coefficientsFor(state: LearnerState | undefined, model: Model): Float64Array | null {
  if (state?.learner === 'sgd') return null;
  return solveCoefficients(state ?? createBayesianState(model.basis), model);
}

/**
 * Draws the m of {@link coefficientsFor} from its posterior, from standard normal numbers. Null
 * when there is no m.
 */
export function drawsFor(
  state: LearnerState | undefined,
  model: Model,
): ((normal: () => number) => Float64Array) | null {
  if (state?.learner === 'sgd') return null;
  return solveDraws(state ?? createBayesianState(model.basis), model);
}

/**
 * How a user's scores divide among past rewards; null when they are not linear in the rewards. See
 * pulls.ts.
 */
export function pullsFor(state: LearnerState, model: Model): ((psi: Float64Array) => Pulls) | null {
  return state.learner === 'sgd' ? null : solvePulls(state, model);
}

/**
 * Serves a user without any adapter: the unchanged embeddings, and the user's shrunken mean reward.
 */
export function userMeanAlone(state: LearnerState, { prior }: Model): LoraAdapter {
  const rewards = state.learner === 'bayesian' ? state.statistics : state;
  const offset = shrunkenMean(rewards, prior.meanReward) - prior.meanReward;
  return { basis: null, b: new Float32Array(0), offset };
}

/**
 * Decides what to serve a user from, by the guard {@link servingMode}. With the choice model, the
 * adapter is served unless there is evidence that taste ranks the user's picks worse than
 * popularity alone.
 */
export function servingModeOf(state: LearnerState, { choice }: Model): ServingMode {
  if (!choice || state.learner !== 'bayesian') return servingMode(state.record);
  const { excess, squares } = state.picks?.ranking ?? NOTHING_RANKED;
  return isShownWorse(-excess, squares) ? 'warm-start' : 'adapter';
}

/** The model before any consolidation. */
export function initialModel(
  name: LearnerName,
  basis: Basis | null,
  hyperparameters: Readonly<Record<string, number>>,
  meanReward = 0.5,
): Model {
  const resolved = resolveHyperparameters(LEARNERS[name].hyperparameters, hyperparameters);
  const prior = initialPriorOf(basis, { meanReward, relativeVariance: resolved.priorVariance });
  return { basis, prior, hyperparameters: resolved };
}
