import { createHash } from 'node:crypto';
import type { FunctionSettings } from '../config/settings.ts';
import { SGD_HYPERPARAMETERS } from '../lora/sgd.ts';
import type { RecommendedLearningRate } from './population-model.ts';

type ExplorationSettings = Pick<FunctionSettings, 'learner' | 'learningRate' | 'exploration'>;

/** Learning rates that are tried, as factors on the configured one; 1 is what the others are compared with. */
const ARM_FACTORS = Array.from({ length: 9 }, (_, i) => 10 ** ((i - 4) / 2));
/**
 * No larger step is tried than the configured one or this: along an item of unit length and rows of A that are orthonormal, the loss
 * curves by at most 1, so gradient descent diverges beyond 2 (Nesterov, Introductory Lectures on Convex Optimization, 2004, section 1.2.3).
 */
const LARGEST_TRIED = 2;

/**
 * What a user's updates are steered by: the value that the user explores for good, else the one recommended in place of the
 * configured one, else that; undefined for the learner 'bayesian', whose strategy is the prior. Who explores what depends on the
 * user's key alone, and a larger share adds users without changing what the others try.
 * @param userKey SHA-256 of the user id, hex
 */
export function hyperparametersFor(
  userKey: string,
  { learner, learningRate, exploration }: ExplorationSettings,
  recommended: RecommendedLearningRate | null,
): Readonly<Record<string, number>> | undefined {
  if (learner === 'bayesian') return undefined;
  // Hashed once more, so that who explores says nothing of who is held out or checks new priors.
  const digest = createHash('sha256').update(`explore ${userKey}`).digest();
  if (digest.readUInt32BE(0) >= exploration * 2 ** 32) {
    return {
      learningRate: recommended?.insteadOf === learningRate ? recommended.learningRate : learningRate,
    };
  }
  const arms = armsAround(learningRate);
  return { learningRate: arms[digest.readUInt32BE(4) % arms.length]! };
}

/** What is beyond a bound is tried as the bound, which counts once, so that all that is tried is tried by equally many. */
function armsAround(learningRate: number): number[] {
  const { minimum } = SGD_HYPERPARAMETERS.learningRate;
  const maximum = Math.max(learningRate, LARGEST_TRIED);
  const within = (arm: number) => Math.min(maximum, Math.max(minimum, arm));
  return [...new Set(ARM_FACTORS.map((factor) => within(learningRate * factor)))];
}
