import type { LearningSettings } from '../config/settings.ts';
import { knowsBasisOf } from '../lora/learner.ts';
import type { Model } from '../lora/training.ts';
import type { SharedLearning } from '../population/shared-learning.ts';
import type { StoredAdapter } from './adapter-object.ts';

/**
 * Whether an adapter fits the deployment's settings. With another embedding model, length, rank,
 * scale or learner it does not: the user starts anew from the population model, and earlier
 * versions stay in the bucket.
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
 * Whether a user continues from an adapter under the current basis. A user starts anew when the
 * adapter cannot be carried over, as after a change of settings.
 */
export function canContinue(adapter: StoredAdapter, settings: LearningSettings, model: Model): boolean {
  return fitsDeployment(adapter, settings) && knowsBasisOf(model, adapter.state);
}

/**
 * Whether an adapter fits the settings, but neither the current basis nor an earlier one that can
 * be carried over.
 */
export function missesBasis(adapter: StoredAdapter, settings: LearningSettings, model: Model): boolean {
  return fitsDeployment(adapter, settings) && !knowsBasisOf(model, adapter.state);
}

/**
 * What all users share, read again from S3 when the adapter has a basis that this instance does
 * not know: another instance may have carried it over.
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
