import type { AdapterCache } from '../../shared/adapters/adapter-cache.ts';
import type { StoredAdapter } from '../../shared/adapters/adapter-object.ts';
import type { AdapterStore, Loaded, Place } from '../../shared/adapters/adapter-store.ts';
import { learningFor, missesBasis } from '../../shared/adapters/compatibility.ts';
import { eventKey } from '../../shared/adapters/recent-events.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import type { Episode } from '../../shared/episodes/episode.ts';
import type { EpisodeStore } from '../../shared/episodes/episode-store.ts';
import type { PendingEpisodes } from '../../shared/episodes/pending-episodes.ts';
import { ConflictError, UnavailableError } from '../../shared/errors.ts';
import type { FeedbackEvent } from '../../shared/feedback/event.ts';
import type { SharedLearning } from '../../shared/population/shared-learning.ts';
import { applyEvents } from './apply-events.ts';

export interface UpdateUserServices {
  readonly settings: FunctionSettings;
  readonly adapters: AdapterStore;
  readonly cache: AdapterCache;
  readonly episodes: Pick<EpisodeStore, 'store'>;
  readonly pending: PendingEpisodes;
  /** Reads what all users share from S3, past the cache. */
  readonly freshLearning: () => Promise<SharedLearning>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Waits a random time after commit attempt number `attempt` (from 1) lost a race. */
  readonly backOff: (attempt: number) => Promise<void>;
  readonly onConflict: () => void;
  /** Called when the bank did not accept an episode in time. The episode is stored as pending. */
  readonly onPending: (error: unknown) => void;
}

export interface UserUpdate {
  readonly applied: readonly FeedbackEvent[];
  readonly duplicates: readonly FeedbackEvent[];
  /** Events that were not applied, because their user is forgotten. */
  readonly forgotten: readonly FeedbackEvent[];
}

const MAX_ATTEMPTS = 6;
/** The bank usually accepts an episode within 20 milliseconds. */
const BANK_DEADLINE_MS = 1_000;

/**
 * Applies events of one user in one commit, exactly once each.
 * @throws ConflictError when other writers won every attempt; UnavailableError, CorruptObjectError.
 * After an error nothing was applied, or only the episode is missing, which a redelivery of the
 * same events stores.
 */
export async function updateUser(
  userKey: string,
  events: readonly FeedbackEvent[],
  learning: SharedLearning,
  services: UpdateUserServices,
): Promise<UserUpdate> {
  const { adapters, cache, settings, now } = services;
  const trainedWith = (previous: StoredAdapter | undefined) => learningToTrain(previous, learning, services);
  let place = await findPlace(userKey, events, services);
  for (let attempt = 1; ; attempt++) {
    if (place.damage !== undefined) throw place.damage;
    if (place.tombstone !== undefined && place.tombstone.expiresAt > now()) {
      return { applied: [], duplicates: [], forgotten: events };
    }
    const previous = place.adapter;
    const { adapter, applied, duplicates } = applyEvents(previous, events, await trainedWith(previous), {
      userKey,
      settings,
      now: now(),
    });
    // The process that committed the previous version may have died before it stored the episode.
    if ((duplicates.length > 0 || attempt > 1) && previous?.lastEpisode) {
      await storeEpisode(previous.lastEpisode, learning, services);
    }
    if (adapter === undefined) return { applied, duplicates, forgotten: [] };
    let committed: Loaded;
    try {
      committed = await adapters.commit(adapter, place.etag);
    } catch (error) {
      cache.delete(userKey);
      if (!(error instanceof ConflictError) || attempt === MAX_ATTEMPTS) throw error;
      services.onConflict();
      await services.backOff(attempt);
      place = await adapters.find(userKey);
      continue;
    }
    cache.set(userKey, committed);
    await storeEpisode(adapter.lastEpisode!, learning, services);
    return { applied, duplicates, forgotten: [] };
  }
}

/**
 * What to train an adapter with. An adapter of an unknown basis starts anew, unless the newest
 * basis is missing or damaged, because the adapter may have learned under that one.
 * @throws UnavailableError when the basis that the adapter needs is missing or damaged
 */
async function learningToTrain(
  previous: StoredAdapter | undefined,
  learning: SharedLearning,
  services: UpdateUserServices,
): Promise<SharedLearning> {
  const found = await learningFor(previous, learning, services);
  const { hasBasis, model } = found;
  if (!hasBasis && previous !== undefined && missesBasis(previous, services.settings, model)) {
    throw new UnavailableError(
      'found a basis missing or damaged, expected the one that the adapter has learned under',
    );
  }
  return found;
}

/**
 * Reads the object at the user's key, from memory when this instance wrote it: a commit on an
 * outdated object fails. A duplicate is checked in S3, because it leads to no commit and the user
 * may be forgotten by now.
 */
async function findPlace(
  userKey: string,
  events: readonly FeedbackEvent[],
  { adapters, cache }: UpdateUserServices,
): Promise<Place> {
  const cached = cache.get(userKey);
  if (cached === undefined) return adapters.find(userKey);
  const { recentEvents } = cached.adapter;
  const hasDuplicate = events.some(({ eventId }) => recentEvents.includes(eventKey(eventId)));
  return hasDuplicate ? adapters.find(userKey, cached) : cached;
}

/**
 * Stores an episode in the bank, or as a pending episode when the bank does not accept it in time.
 */
async function storeEpisode(
  episode: Episode,
  { population }: SharedLearning,
  { episodes, pending, onPending }: UpdateUserServices,
): Promise<void> {
  const { watermarks } = population.progress;
  try {
    await episodes.store(episode, { signal: AbortSignal.timeout(BANK_DEADLINE_MS), watermarks });
  } catch (error) {
    onPending(error);
    await pending.put(episode);
  }
}
