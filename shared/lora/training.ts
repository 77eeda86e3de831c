import { InvalidInputError, shown } from '../errors.ts';
import { type Basis, vectorNorm } from './basis.ts';
import type { CarryOver } from './carry-over.ts';
import type { PreparedChoice } from './choice.ts';
import type { PredictedReward } from './prequential.ts';
import type { PreparedPrior } from './prior.ts';

/** The input of learning and predicting in addition to the user's own state. */
export interface Model {
  readonly basis: Basis | null;
  /** Prior over the coefficients of `basis`. Every learner uses its mean reward. */
  readonly prior: PreparedPrior;
  /**
   * The choice model over the coefficients of `basis`, when rewards only say which items users
   * picked. Default none.
   */
  readonly choice?: PreparedChoice | null;
  /** Maps from earlier bases to `basis`. Default none. */
  readonly carryOvers?: readonly CarryOver[];
  /** Hyperparameters of the learner, by name. Missing ones have their defaults. */
  readonly hyperparameters?: Readonly<Record<string, number>>;
}

/**
 * Feedback on one item for the learner: a reward in [0, 1], or a target for the personalised
 * embedding.
 */
export type TrainingInteraction = {
  /** x, length d. */
  readonly embedding: Float32Array;
  /** β of the item, 0 when unknown. */
  readonly itemEffect: number;
} & ({ readonly reward: number } | { readonly target: Float32Array });

/** The new state, with the predictions made before learning. */
export interface Training<State> {
  readonly state: State;
  /** One per reward, in order. Targets are not predicted. */
  readonly predictions: readonly PredictedReward[];
}

/** Most times its item's length that a target may have: the range of float16. */
const MAX_TARGET_LENGTH = 65_504;

/**
 * Checks once, so that the inner loops need not check.
 * @param dim length d of embeddings and targets
 * @throws InvalidInputError naming the interaction
 */
export function checkInteractions(interactions: readonly TrainingInteraction[], dim: number): void {
  interactions.forEach((interaction, index) => {
    const at = `interactions[${index}]`;
    const length = finiteLength(interaction.embedding, dim, `${at}.embedding`);
    if (!Number.isFinite(interaction.itemEffect)) {
      throw new InvalidInputError(`${at}.itemEffect`, shown(interaction.itemEffect), 'a finite number');
    }
    if ('target' in interaction) {
      const target = finiteLength(interaction.target, dim, `${at}.target`);
      if (length > 0 && target > MAX_TARGET_LENGTH * length) {
        const found = `a vector ${(target / length).toExponential(1)} times as long as its item`;
        throw new InvalidInputError(`${at}.target`, found, `at most ${MAX_TARGET_LENGTH} times`);
      }
    } else if (!(interaction.reward >= 0 && interaction.reward <= 1)) {
      throw new InvalidInputError(`${at}.reward`, shown(interaction.reward), 'a number from 0 to 1');
    }
  });
}

function finiteLength(vector: Float32Array, dim: number, field: string): number {
  if (vector.length !== dim) {
    throw new InvalidInputError(field, `${vector.length} numbers`, `${dim} numbers`);
  }
  // Squares of float32 numbers cannot overflow in float64, so only a NaN or an infinity has a norm
  // that is not finite.
  const norm = vectorNorm(vector);
  if (!Number.isFinite(norm))
    throw new InvalidInputError(field, 'a number that is not finite', 'finite numbers');
  return norm;
}
