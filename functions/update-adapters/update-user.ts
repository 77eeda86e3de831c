import type { AdapterCache } from '../../shared/adapter-store/adapter-cache.ts';
import type { AdapterStore, Loaded } from '../../shared/adapter-store/adapter-store.ts';
import type { SharedLearning } from '../../shared/adapter-store/learning-objects.ts';
import type { PendingEpisodes } from '../../shared/adapter-store/pending-episodes.ts';
import { ConflictError } from '../../shared/errors.ts';
import type { FeedbackEvent } from '../../shared/feedback/event.ts';
import type { Episode } from '../../shared/reasoning-bank/episode.ts';
import type { EpisodeStore } from '../../shared/reasoning-bank/episode-store.ts';
import type { FunctionSettings } from '../../shared/runtime/settings.ts';
import { applyEvents } from './apply-events.ts';

export interface UpdateUserServices {
  readonly settings: FunctionSettings;
  readonly adapters: AdapterStore;
  readonly cache: AdapterCache;
  readonly episodes: EpisodeStore;
  readonly pending: PendingEpisodes;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Waits a jittered while before try number `attempt` (from 1) at a commit that lost a race. */
  readonly backOff: (attempt: number) => Promise<void>;
  readonly onConflict: () => void;
  /** The bank did not take an episode in time; it waits in S3 instead. */
  readonly onPending: (error: unknown) => void;
}

export interface UserUpdate {
  readonly applied: readonly FeedbackEvent[];
  readonly duplicates: readonly FeedbackEvent[];
}

const MAX_ATTEMPTS = 6;

/**
 * Applies events of one user in one commit, exactly once each.
 * @throws ConflictError when other writers kept winning; UnavailableError, CorruptObjectError. Nothing was applied then, or, when
 * only the episode failed, a redelivery of the same events stores it.
 */
export async function updateUser(
  userKey: string,
  events: readonly FeedbackEvent[],
  learning: SharedLearning,
  services: UpdateUserServices,
): Promise<UserUpdate> {
  const { adapters, cache, settings, now } = services;
  let loaded = cache.get(userKey) ?? (await adapters.load(userKey));
  for (let attempt = 1; ; attempt++) {
    const previous = loaded?.adapter;
    const { adapter, applied, duplicates } = applyEvents(previous, events, learning, {
      userKey,
      settings,
      now: now(),
    });
    // A redelivery: whoever applied these events may have died before storing their episode.
    if (duplicates.length > 0 && previous?.lastEpisode) await remember(previous.lastEpisode, services);
    if (adapter === undefined) return { applied, duplicates };
    let committed: Loaded;
    try {
      committed = await adapters.commit(adapter, loaded?.etag);
    } catch (error) {
      cache.delete(userKey);
      if (!(error instanceof ConflictError) || attempt === MAX_ATTEMPTS) throw error;
      services.onConflict();
      await services.backOff(attempt);
      loaded = await adapters.load(userKey);
      continue;
    }
    cache.set(userKey, committed);
    await remember(adapter.lastEpisode!, services);
    return { applied, duplicates };
  }
}

async function remember(
  episode: Episode,
  { episodes, pending, onPending }: UpdateUserServices,
): Promise<void> {
  try {
    await episodes.store(episode);
  } catch (error) {
    onPending(error);
    await pending.put(episode);
  }
}
