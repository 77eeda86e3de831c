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
