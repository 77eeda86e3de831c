import type { StoredAdapter } from '../adapters/adapter-object.ts';
import { InvalidInputError } from '../errors.ts';
import type { DownProjection } from '../lora/basis.ts';
import type { LoraAdapter } from '../lora/forward.ts';
import type { LearnerState } from '../lora/learner.ts';
import { type SgdState, sgdStateFrom } from '../lora/sgd.ts';

/**
 * A user's adapter, y = x + (scalingFactor/rank)·B·A·x, with its learned state. The engine never
 * changes one in place.
 */
export interface UserLoRAAdapter {
  userId: string;
  /** r, 1 to 64. */
  rank: number;
  /** A, r×d, row-major. */
  matrixA: Float32Array;
  /** B, d×r, row-major; zeros for a user without feedback. */
  matrixB: Float32Array;
  scalingFactor: number;
  /** d, 16 to 4096. */
  embeddingDim: number;
  /** 1 for a new adapter, plus one per update. */
  version: number;
  createdAt: Date;
  updatedAt: Date;
  /** Diagonal Fisher information of A, then of B; only of the learner 'sgd' with EWC. */
  fisherInformation?: Float32Array | undefined;
  metadata: AdapterMetadata;
  /** How much higher or lower the user rates all items, in units of reward. Default 0. */
  offset?: number;
  /** The learned state. Without it, updates continue from the matrices with the learner 'sgd'. */
  state?: LearnerState;
  /** Other fields of an object of the adapter store, kept so that it can be written back. */
  stored?: Pick<
    StoredAdapter,
    'userKey' | 'embeddingModel' | 'skillsVersion' | 'recentEvents' | 'lastEpisode'
  >;
}

export interface AdapterMetadata {
  /** Feedbacks learned from. */
  totalSamples: number;
  /**
   * Running mean (0.9 of the old, 0.1 of the new) of each update's mean loss after the step; see
   * `lossOf`.
   */
  avgLoss: number;
  /** Learning rate of the last update. The learner 'bayesian' has none and ignores it. */
  learningRate: number;
  lastTrainedAt: Date;
  performance: {
    /** Mean time of a forward pass over the last update's feedback, milliseconds. */
    avgInferenceMs: number;
    /** Size of the matrices, bytes. */
    sizeBytes: number;
  };
}

/** The adapter for the functions of `shared/lora`. */
export function loraOf(adapter: UserLoRAAdapter): LoraAdapter & { readonly basis: DownProjection } {
  const { embeddingDim, rank, scalingFactor, matrixA, matrixB, offset = 0 } = adapter;
  if (matrixA.length !== rank * embeddingDim || matrixB.length !== matrixA.length) {
    throw new InvalidInputError(
      'adapter',
      `A of ${matrixA.length} and B of ${matrixB.length} numbers`,
      `rank × embeddingDim = ${rank}×${embeddingDim} of each`,
    );
  }
  return { basis: { embeddingDim, rank, scale: scalingFactor / rank, a: matrixA }, b: matrixB, offset };
}

/**
 * The state to continue learning from: the adapter's, or one made from its matrices when it has
 * none (merged, made by hand).
 */
export function stateOf(adapter: UserLoRAAdapter): LearnerState {
  if (adapter.state !== undefined) return adapter.state;
  const { basis, b } = loraOf(adapter);
  const state = sgdStateFrom(basis, b);
  const { fisherInformation: fisher } = adapter;
  if (fisher === undefined) return state;
  if (fisher.length !== 2 * b.length) {
    throw new InvalidInputError('adapter.fisherInformation', `${fisher.length} numbers`, `${2 * b.length}`);
  }
  return {
    ...state,
    a: { ...state.a, fisher: fisher.subarray(0, b.length) },
    b: { ...state.b, fisher: fisher.subarray(b.length) },
  };
}

/** Fisher information of A, then of B. */
export function fisherOf({ a, b }: SgdState): Float32Array {
  const fisher = new Float32Array(a.fisher.length + b.fisher.length);
  fisher.set(a.fisher);
  fisher.set(b.fisher, a.fisher.length);
  return fisher;
}

export function sizeBytesOf({ matrixA, matrixB }: Pick<UserLoRAAdapter, 'matrixA' | 'matrixB'>): number {
  return matrixA.byteLength + matrixB.byteLength;
}
