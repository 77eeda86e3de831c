import { knowsBasisOf } from '../lora/learner.ts';
import type { Model } from '../lora/training.ts';
import type { FunctionSettings } from '../runtime/settings.ts';
import type { StoredAdapter } from './adapter-object.ts';

/**
 * Whether what an adapter has learned still means something under the deployment's settings. After another embedding model, length,
 * rank, scale or learner it does not: the user starts anew, from the newest skills, and the earlier versions stay in the bucket.
 */
export function fitsDeployment(
  adapter: StoredAdapter,
  { embeddingModel, embeddingDim, rank, scalingFactor, learner }: FunctionSettings,
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
export function continues(adapter: StoredAdapter, settings: FunctionSettings, model: Model): boolean {
  return fitsDeployment(adapter, settings) && knowsBasisOf(model, adapter.state);
}
