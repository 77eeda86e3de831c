import type { LearningSettings } from '../config/settings.ts';
import { knowsBasisOf } from '../lora/learner.ts';
import type { Model } from '../lora/training.ts';
import type { SharedLearning } from '../population/shared-learning.ts';
import type { StoredAdapter } from './adapter-object.ts';

/**
 * Whether what an adapter has learned still means something under the deployment's settings. After another embedding model, length,
 * rank, scale or learner it does not: the user starts anew, from the newest skills, and the earlier versions stay in the bucket.
 */
export function fitsDeployment(
  adapter: StoredAdapter,
  { embeddingModel, embeddingDim, rank, scalingFactor, learner }: LearningSettings,
): boolean {
  return (
    adapter.embeddingModel === embeddingModel &&
    adapter.embeddingDim === embeddingDim &&
    adapter.rank === rank &&
    adapter.scale === scalingFactor / rank &&
    adapter.state.learner === learner
  );
}

/**
 * Whether a user goes on from an adapter under the basis in force: from one that it cannot be carried over from, the user starts anew as
 * after other settings.
 */
export function canContinue(adapter: StoredAdapter, settings: LearningSettings, model: Model): boolean {
  return fitsDeployment(adapter, settings) && knowsBasisOf(model, adapter.state);
}

/** Whether an adapter fits the settings, but not the basis in force nor any before it. */
export function missesBasis(adapter: StoredAdapter, settings: LearningSettings, model: Model): boolean {
  return fitsDeployment(adapter, settings) && !knowsBasisOf(model, adapter.state);
}

/**
 * What is shared, read again where the adapter is under a basis that this container does not know of yet: another container may have
 * carried it over already.
 * @param adapter undefined for a user without one
 * @throws CorruptObjectError, UnavailableError
 */
export async function learningFor(
  adapter: StoredAdapter | undefined,
  learning: SharedLearning,
  {
    settings,
    freshLearning,
  }: { readonly settings: LearningSettings; readonly freshLearning: () => Promise<SharedLearning> },
): Promise<SharedLearning> {
  return adapter !== undefined && missesBasis(adapter, settings, learning.model) ? freshLearning() : learning;
}
