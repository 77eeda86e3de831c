import type { AdapterCache } from '../adapters/adapter-cache.ts';
import { loraOf, type StoredAdapter } from '../adapters/adapter-object.ts';
import type { AdapterStore } from '../adapters/adapter-store.ts';
import { canContinue, learningFor } from '../adapters/compatibility.ts';
import { pickedItems } from '../adapters/recent-items.ts';
import type { LearningSettings } from '../config/settings.ts';
import { userKey } from '../config/user-key.ts';
import type { Source } from '../contract/answers.ts';
import type { LoraAdapter } from '../lora/forward.ts';
import { isSolvedFor, learnerOf, servingModeOf, userMeanAlone, warmStart } from '../lora/learner.ts';
import type { Neighbours } from '../lora/neighbours.ts';
import { type Gains, gainsOf } from '../population/gains.ts';
import { isHeldOut } from '../population/holdout.ts';
import { learningTo, type Purpose, type SharedLearning } from '../population/shared-learning.ts';

export interface ServingServices {
  readonly settings: LearningSettings;
  readonly adapters: AdapterStore;
  readonly cache: AdapterCache;
  readonly learning: () => Promise<SharedLearning>;
  /** Undefined until consolidation has made one. */
  readonly neighbours: () => Promise<Neighbours | undefined>;
  /** The version in S3 now. */
  readonly freshLearning: () => Promise<SharedLearning>;
}

export interface ServedUser {
  readonly source: Source;
  readonly lora: LoraAdapter;
  /** Gains of items from the user's picks; null when there are none. */
  readonly gains: Gains | null;
  readonly shared: SharedLearning;
  /** The stored adapter if it fits the deployment. */
  readonly adapter: StoredAdapter | undefined;
  /** The stored adapter, even if it does not fit. */
  readonly stored: StoredAdapter | undefined;
}

/**
 * How a user is served now. Everything that answers with an adapter or displays one must use this,
 * because the stored weights may be older than the current population model and basis, and the
 * guard may have rejected the adapter.
 * @param purpose default `scores`, as the weights in the adapter are solved
 * @throws UnavailableError, CorruptObjectError
 */
export async function servedUser(
  userId: string,
  services: ServingServices,
  purpose: Purpose = 'scores',
): Promise<ServedUser> {
  const { settings, adapters, cache, learning } = services;
  const key = userKey(userId);
  // Lists need them, so they are read at the same time as the model. Scores need them only where
  // users only pick items, which the model says.
  const neighbours = purpose === 'ranking' ? services.neighbours() : undefined;
  neighbours?.catch(() => {});
  const [known, loaded] = await Promise.all([learning(), adapters.load(key, cache.get(key))]);
  if (loaded === undefined) cache.delete(key);
  else cache.set(key, loaded);
  const shared = learningTo(purpose, await learningFor(loaded?.adapter, known, services));
  const adapter =
    loaded !== undefined && canContinue(loaded.adapter, settings, shared.model) ? loaded.adapter : undefined;
  const served = isHeldOut(key, settings.holdout)
    ? { source: 'holdout' as const, lora: baseFor(adapter, shared) }
    : servedWith(adapter, shared);
  const usesPicks = served.source === 'adapter' && shared.model.choice;
  const gains = usesPicks
    ? gainsFrom(adapter?.recentItems, await (neighbours ?? services.neighbours()))
    : null;
  return { ...served, gains, shared, adapter, stored: loaded?.adapter };
}

function gainsFrom(
  recentItems: StoredAdapter['recentItems'],
  neighbours: Neighbours | undefined,
): Gains | null {
  if (recentItems === undefined || neighbours === undefined) return null;
  return gainsOf(neighbours, pickedItems(recentItems));
}

/**
 * What to serve a user from: the own adapter, unless there is none or the guard has rejected it.
 */
function servedWith(
  adapter: StoredAdapter | undefined,
  { population, model }: SharedLearning,
): { source: Source; lora: LoraAdapter } {
  const fromOthers = {
    source: population.version > 0 ? 'warm-start' : 'base',
    lora: warmStart(model),
  } as const;
  if (adapter === undefined) return fromOthers;
  const { state } = adapter;
  const mode = servingModeOf(state, model);
  if (mode === 'base') return { source: 'base', lora: userMeanAlone(state, model) };
  if (mode === 'warm-start') return fromOthers;
  // Stored weights are solved for scores.
  const forScores = !population.choice?.rewards;
  const upToDate = forScores && adapter.skillsVersion === population.version && isSolvedFor(state, model);
  const lora = upToDate ? loraOf(adapter) : learnerOf(state.learner).solve(state, model);
  // Without a basis there is an offset, but no taste yet.
  return { source: lora.basis === null ? fromOthers.source : 'adapter', lora };
}

/**
 * The unchanged embeddings, and the mean reward of the user, or of all users when the user has
 * none.
 */
function baseFor(adapter: StoredAdapter | undefined, { model }: Pick<SharedLearning, 'model'>): LoraAdapter {
  return adapter === undefined
    ? { basis: null, b: new Float32Array(0), offset: 0 }
    : userMeanAlone(adapter.state, model);
}
