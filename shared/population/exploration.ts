import { createHash } from 'node:crypto';
import type { FunctionSettings } from '../config/settings.ts';
import { SGD_HYPERPARAMETERS } from '../lora/hyperparameters.ts';
import type { RecommendedLearningRate } from './population-model.ts';

type ExplorationSettings = Pick<FunctionSettings, 'learner' | 'learningRate' | 'exploration'>;

/** Factors on the configured learning rate that users try; 1 is the reference. */
const ARM_FACTORS = Array.from({ length: 9 }, (_, i) => 10 ** ((i - 4) / 2));
/**
 * Learning rates above the configured one are tried only up to this: with items of unit length and
 * orthonormal rows of A the curvature of the loss is at most 1, so gradient descent diverges beyond
 * 2 (Nesterov, Introductory Lectures on Convex Optimization, 2004, section 1.2.3).
 */
const LARGEST_TRIED = 2;

/**
 * The hyperparameters of a user's updates: the learning rate that the user explores, the
 * recommended one, or the configured one, in this order. Undefined for the learner 'bayesian'. The
 * user's key alone decides what the user explores, and a larger share adds users without changing
 * what the others explore.
 * @param userKey SHA-256 of the user id, hex
 */
export function hyperparametersFor(
  userKey: string,
  { learner, learningRate, exploration }: ExplorationSettings,
  recommended: RecommendedLearningRate | null,
): Readonly<Record<string, number>> | undefined {
  if (learner === 'bayesian') return undefined;
  // A separate hash, so that exploration is independent of the holdout and of the validation fold.
  const digest = createHash('sha256').update(`explore ${userKey}`).digest();
  if (digest.readUInt32BE(0) >= exploration * 2 ** 32) {
    return {
      learningRate: recommended?.insteadOf === learningRate ? recommended.learningRate : learningRate,
    };
  }
  const arms = armsAround(learningRate);
  return { learningRate: arms[digest.readUInt32BE(4) % arms.length]! };
}

/** Clamps and deduplicates arms, so that each gets an equal share of users. */
function armsAround(learningRate: number): number[] {
  const { minimum } = SGD_HYPERPARAMETERS.learningRate;
  const maximum = Math.max(learningRate, LARGEST_TRIED);
  const within = (arm: number) => Math.min(maximum, Math.max(minimum, arm));
  return [...new Set(ARM_FACTORS.map((factor) => within(learningRate * factor)))];
}
