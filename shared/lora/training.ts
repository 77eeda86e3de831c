import { InvalidInputError, shown } from '../errors.ts';
import { type Basis, vectorNorm } from './basis.ts';
import type { CarryOver } from './carry-over.ts';
import type { PreparedChoice } from './choice.ts';
import type { PredictedReward } from './prequential.ts';
import type { PreparedPrior } from './prior.ts';

/** What learning and predicting need besides the user's own state. */
export interface Model {
  readonly basis: Basis | null;
  /** Prior over the coefficients of `basis`; every learner takes the mean reward from it. */
  readonly prior: PreparedPrior;
  /** Where users' rewards only say what they picked: the choice model, over the coefficients of `basis`. Default none. */
  readonly choice?: PreparedChoice | null;
  /** From earlier bases to `basis`; none by default. */
  readonly carryOvers?: readonly CarryOver[];
  /** Numbers that steer the learner, by the names that it declares; those left out have their defaults. */
  readonly hyperparameters?: Readonly<Record<string, number>>;
}

/** One item's feedback, ready to learn from: a reward in [0, 1], or an embedding that the user's should move to. */
export type TrainingInteraction = {
  /** x, length d. */
  readonly embedding: Float32Array;
  /** β of the item, 0 when unknown. */
  readonly itemEffect: number;
} & ({ readonly reward: number } | { readonly target: Float32Array });

/** A state that has learned, and what its predictions were worth before. */
export interface Training<State> {
  readonly state: State;
  /** One for every reward, in order; targets predict nothing. */
  readonly predictions: readonly PredictedReward[];
}

/** How many times as long as its item a target may be: what float16 holds of it. */
const MAX_TARGET_LENGTH = 65_504;

/**
 * Checks once what the inner loops rely on.
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
  // Squares of float32 cannot overflow in float64, so only a NaN or an infinity has no finite norm.
  const norm = vectorNorm(vector);
  if (!Number.isFinite(norm))
    throw new InvalidInputError(field, 'a number that is not finite', 'finite numbers');
  return norm;
}
