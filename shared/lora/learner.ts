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
import { type Hyperparameter, resolveHyperparameters } from './hyperparameters.ts';
import { NOTHING_RANKED } from './picks.ts';
import { isShownWorse, type ServingMode, servingMode, shrunkenMean } from './prequential.ts';
import { initialPriorOf } from './prior.ts';
import type { Pulls } from './pulls.ts';
import { createSgdState, SGD_HYPERPARAMETERS, type SgdState, solveSgd, trainSgd } from './sgd.ts';
import type { Model, Training, TrainingInteraction } from './training.ts';

interface StateOf {
  readonly bayesian: BayesianState;
  readonly sgd: SgdState;
}

export type LearnerName = keyof StateOf;

/** What a user's adapter learns on from; `state.learner` tells by which learner. */
export type LearnerState = StateOf[LearnerName];

/** What turns interactions into adapters. All functions are pure: they return new values and change none. See docs/learners.md. */
export interface Learner<Name extends LearnerName> {
  readonly name: Name;
  /** The numbers that steer it, with the bounds in which they may be configured and hinted. */
  readonly hyperparameters: Readonly<Record<string, Hyperparameter>>;
  /** A user of whom nothing is known. */
  create(model: Model, shape: AdapterShape): StateOf[Name];
  /**
   * Predicts the rewards of one feedback event, then learns from it.
   * @throws InvalidInputError when an interaction is malformed; `state` is as it was
   */
  train(
    state: StateOf[Name],
    model: Model,
    interactions: readonly TrainingInteraction[],
  ): Training<StateOf[Name]>;
  /** The adapter as it is applied, under the model in force. */
  solve(state: StateOf[Name], model: Model): LoraAdapter;
}

const LEARNERS: { readonly [Name in LearnerName]: Learner<Name> } = {
  bayesian: {
    name: 'bayesian',
    hyperparameters: {
      /** τ², prior variance of a coefficient of s·B in units of the noise variance, before anyone is known. */
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

/** Whether what was solved of a state still belongs to the model's basis; the prior may have changed since. */
export function isSolvedFor(state: LearnerState, { basis }: Model): boolean {
  return state.learner !== 'bayesian' || state.basisId === (basis?.id ?? null);
}

/** Whether a state belongs to the model's basis, or to one that it can be carried over from, or waits for the first. */
export function knowsBasisOf({ basis, carryOvers = [] }: Model, state: LearnerState): boolean {
  if (state.learner !== 'bayesian' || state.basisId === null || state.basisId === basis?.id) return true;
  return carryOvers.some(({ fromBasisId }) => fromBasisId === state.basisId);
}

/** The adapter of a user of whom nothing is known: the mean of the prior. */
export function warmStart(model: Model): LoraAdapter {
  return LEARNERS.bayesian.solve(createBayesianState(model.basis), model);
}

/** m of a user, offset last; null where scores are not linear in ψ. Without a state, of a user of whom nothing is known. */
export function coefficientsFor(state: LearnerState | undefined, model: Model): Float64Array | null {
  if (state?.learner === 'sgd') return null;
  return solveCoefficients(state ?? createBayesianState(model.basis), model);
}

/** Draws of the m of {@link coefficientsFor} from its posterior, each made of standard normal numbers; null where there is no m. */
export function drawsFor(
  state: LearnerState | undefined,
  model: Model,
): ((normal: () => number) => Float64Array) | null {
  if (state?.learner === 'sgd') return null;
  return solveDraws(state ?? createBayesianState(model.basis), model);
}

/** How scores of a user divide among past rewards; null where they are not linear in them. See pulls.ts. */
export function pullsFor(state: LearnerState, model: Model): ((psi: Float64Array) => Pulls) | null {
  return state.learner === 'sgd' ? null : solvePulls(state, model);
}

/** What a user is served without any adapter: the embeddings as they are, and the user's shrunken mean reward. */
export function userMeanAlone(state: LearnerState, { prior }: Model): LoraAdapter {
  const rewards = state.learner === 'bayesian' ? state.statistics : state;
  const offset = shrunkenMean(rewards, prior.meanReward) - prior.meanReward;
  return { basis: null, b: new Float32Array(0), offset };
}

/**
 * What a user is to be served from; the guard of {@link servingMode}. Where the choice model is used, the adapter is served unless
 * taste is shown to rank the user's picks worse than popularity alone does.
 */
export function servingModeOf(state: LearnerState, { choice }: Model): ServingMode {
  if (!choice || state.learner !== 'bayesian') return servingMode(state.record);
  const { excess, squares } = state.picks?.ranking ?? NOTHING_RANKED;
  return isShownWorse(-excess, squares) ? 'warm-start' : 'adapter';
}

/** The model before anything was learned from other users. */
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
