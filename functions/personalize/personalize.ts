import type { AdapterCache } from '../../shared/adapter-store/adapter-cache.ts';
import { loraOf, type StoredAdapter } from '../../shared/adapter-store/adapter-object.ts';
import type { AdapterStore } from '../../shared/adapter-store/adapter-store.ts';
import type { SharedLearning } from '../../shared/adapter-store/learning-objects.ts';
import { encodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { userKey } from '../../shared/feedback/user-key.ts';
import { forward, type LoraAdapter, userPart } from '../../shared/lora/forward.ts';
import { isSolvedFor, learnerOf, warmStart } from '../../shared/lora/learner.ts';
import type { Model } from '../../shared/lora/training.ts';
import { effectOfItem } from '../../shared/reasoning-bank/skills.ts';
import type { Candidate, PersonalizeRequest } from './request.ts';

export interface PersonalizeServices {
  readonly adapters: AdapterStore;
  readonly cache: AdapterCache;
  readonly learning: () => Promise<SharedLearning>;
}

export interface PersonalizeAnswer {
  readonly userId: string;
  /** 0 for a user without an adapter. */
  readonly adapterVersion: number;
  readonly skillsVersion: number;
  /** What the answer rests on: the user's own adapter, what other users taught, or nothing yet. */
  readonly source: 'adapter' | 'warm-start' | 'base';
  readonly items: readonly (ScoredItem | EmbeddedItem)[];
}

export interface ScoredItem {
  /** Position among the candidates. */
  readonly index: number;
  readonly itemId?: string;
  /** Predicted reward; may leave [0, 1]. */
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
  { adapters, cache, learning }: PersonalizeServices,
): Promise<PersonalizeAnswer> {
  const key = userKey(userId);
  const [{ skills, model }, loaded] = await Promise.all([learning(), adapters.load(key, cache.get(key))]);
  if (loaded === undefined) cache.delete(key);
  else cache.set(key, loaded);
  const adapter = loaded?.adapter;
  const lora = loraFor(adapter, model, skills.version);

  const scored = ({ itemId, embedding }: Candidate, index: number): ScoredItem => {
    const base = model.prior.meanReward;
    const item = effectOfItem(skills.items, itemId);
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
    skillsVersion: skills.version,
    source: adapter !== undefined ? 'adapter' : skills.version > 0 ? 'warm-start' : 'base',
    items:
      answer === 'embeddings'
        ? candidates.map(embedded)
        : candidates.map(scored).sort((a, b) => b.score - a.score || a.index - b.index),
  };
}

/** The adapter under what is in force now; of a user without one, the warm start. */
function loraFor(adapter: StoredAdapter | undefined, model: Model, skillsVersion: number): LoraAdapter {
  if (adapter === undefined) return warmStart(model);
  const { state } = adapter;
  const upToDate = adapter.skillsVersion === skillsVersion && isSolvedFor(state, model);
  return upToDate ? loraOf(adapter) : learnerOf(state.learner).solve(state, model);
}
