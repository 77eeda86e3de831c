import type { AdapterCache } from '../../shared/adapters/adapter-cache.ts';
import { loraOf, type StoredAdapter } from '../../shared/adapters/adapter-object.ts';
import type { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { canContinue, learningFor } from '../../shared/adapters/compatibility.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { encodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { forward, type LoraAdapter, userPart } from '../../shared/lora/forward.ts';
import {
  isSolvedFor,
  learnerOf,
  servingModeOf,
  userMeanAlone,
  warmStart,
} from '../../shared/lora/learner.ts';
import { isHeldOut } from '../../shared/population/holdout.ts';
import { itemPart } from '../../shared/population/population-model.ts';
import type { SharedLearning } from '../../shared/population/shared-learning.ts';
import type { Candidate, PersonalizeRequest } from './request.ts';

export interface PersonalizeServices {
  readonly settings: FunctionSettings;
  readonly adapters: AdapterStore;
  readonly cache: AdapterCache;
  readonly learning: () => Promise<SharedLearning>;
  /** As it stands in S3 now. */
  readonly freshLearning: () => Promise<SharedLearning>;
}

export interface PersonalizeAnswer {
  readonly userId: string;
  /** 0 for a user without an adapter. */
  readonly adapterVersion: number;
  readonly skillsVersion: number;
  /**
   * What the answer rests on: the user's own adapter; what other users taught, when the user has no adapter or it was shown not
   * to help; or the embeddings as they are, for users held out always.
   */
  readonly source: 'adapter' | 'warm-start' | 'base' | 'holdout';
  readonly items: readonly (ScoredItem | EmbeddedItem)[];
}

export interface ScoredItem {
  /** Position among the candidates. */
  readonly index: number;
  readonly itemId?: string;
  /**
   * Predicted reward, which may leave [0, 1]. Where users only pick items, the logarithm of how much more likely this pick is
   * than that of an item without popularity or taste.
   */
  readonly score: number;
  /** The score's summands, when asked for. */
  readonly parts?: { readonly base: number; readonly item: number; readonly user: number };
}

export interface EmbeddedItem {
  readonly index: number;
  readonly itemId?: string;
  /** y as base64 of little-endian float32. */
  readonly embedding: string;
}

/**
 * Scores candidates for a user, or moves their embeddings to where the user's taste puts them.
 * @throws UnavailableError, CorruptObjectError
 */
export async function personalize(
  { userId, candidates, answer, explain }: PersonalizeRequest,
  services: PersonalizeServices,
): Promise<PersonalizeAnswer> {
  const { settings, adapters, cache, learning } = services;
  const key = userKey(userId);
  const [known, loaded] = await Promise.all([learning(), adapters.load(key, cache.get(key))]);
  if (loaded === undefined) cache.delete(key);
  else cache.set(key, loaded);
  const shared = await learningFor(loaded?.adapter, known, services);
  const { population, model } = shared;
  const adapter =
    loaded !== undefined && canContinue(loaded.adapter, settings, model) ? loaded.adapter : undefined;
  const { source, lora } = isHeldOut(key, settings.holdout)
    ? { source: 'holdout' as const, lora: baseFor(adapter, shared) }
    : servedWith(adapter, shared);

  const scored = ({ itemId, embedding }: Candidate, index: number): ScoredItem => {
    const base = model.choice ? 0 : model.prior.meanReward;
    // Held out means: as without Attune. All scores are then the same, and candidates stay in the order they came in.
    const item = source === 'holdout' ? 0 : itemPart(population, itemId);
    const user = userPart(lora, embedding);
    return {
      index,
      ...(itemId === undefined ? {} : { itemId }),
      score: base + item + user,
      ...(explain ? { parts: { base, item, user } } : {}),
    };
  };
  const embedded = ({ itemId, embedding }: Candidate, index: number): EmbeddedItem => ({
    index,
    ...(itemId === undefined ? {} : { itemId }),
    embedding: encodeEmbedding(forward(lora, embedding)),
  });
  return {
    userId,
    adapterVersion: adapter?.version ?? 0,
    skillsVersion: population.version,
    source,
    items:
      answer === 'embeddings'
        ? candidates.map(embedded)
        : candidates.map(scored).sort((a, b) => b.score - a.score || a.index - b.index),
  };
}

/** What a user is served with: the own adapter, unless there is none or the guard has found that it does not help. */
function servedWith(
  adapter: StoredAdapter | undefined,
  { population, model }: SharedLearning,
): { source: PersonalizeAnswer['source']; lora: LoraAdapter } {
  const fromOthers = {
    source: population.version > 0 ? 'warm-start' : 'base',
    lora: warmStart(model),
  } as const;
  if (adapter === undefined) return fromOthers;
  const { state } = adapter;
  const mode = servingModeOf(state, model);
  if (mode === 'base') return { source: 'base', lora: userMeanAlone(state, model) };
  if (mode === 'warm-start') return fromOthers;
  const upToDate = adapter.skillsVersion === population.version && isSolvedFor(state, model);
  const lora = upToDate ? loraOf(adapter) : learnerOf(state.learner).solve(state, model);
  // Without a basis there is an offset, but no taste yet.
  return { source: lora.basis === null ? fromOthers.source : 'adapter', lora };
}

/** The embeddings as they are, and the mean reward of the user, or of all where the user has none. */
function baseFor(adapter: StoredAdapter | undefined, { model }: Pick<SharedLearning, 'model'>): LoraAdapter {
  return adapter === undefined
    ? { basis: null, b: new Float32Array(0), offset: 0 }
    : userMeanAlone(adapter.state, model);
}
