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
  /** What all users share, as it stands in S3 now. */
  readonly freshLearning: () => Promise<SharedLearning>;
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
  /** Not applied, because their user asked to be forgotten. */
  readonly forgotten: readonly FeedbackEvent[];
}

const MAX_ATTEMPTS = 6;
/** The bank usually takes an episode within 20 milliseconds. */
const BANK_DEADLINE_MS = 1_000;

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
  const current = (previous: StoredAdapter | undefined) => learningToTrain(previous, learning, services);
  let place = await findPlace(userKey, events, services);
  for (let attempt = 1; ; attempt++) {
    if (place.tombstone !== undefined && place.tombstone.expiresAt > now()) {
      return { applied: [], duplicates: [], forgotten: events };
    }
    const previous = place.adapter;
    const { adapter, applied, duplicates } = applyEvents(previous, events, await current(previous), {
      userKey,
      settings,
      now: now(),
    });
    // Whoever applied the duplicates, or won the race for the last commit, may have died before storing the episode.
    if ((duplicates.length > 0 || attempt > 1) && previous?.lastEpisode) {
      await remember(previous.lastEpisode, services);
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
    await remember(adapter.lastEpisode!, services);
    return { applied, duplicates, forgotten: [] };
  }
}

/**
 * What an adapter is to be trained with. One whose basis is unknown starts anew, unless there is no basis at all.
 * @throws UnavailableError when the basis that the adapter needs is missing
 */
async function learningToTrain(
  previous: StoredAdapter | undefined,
  learning: SharedLearning,
  services: UpdateUserServices,
): Promise<SharedLearning> {
  const found = await learningFor(previous, learning, services);
  const { hasBasis, model } = found;
  if (!hasBasis && previous !== undefined && missesBasis(previous, services.settings, model)) {
    throw new UnavailableError('the adapter has learned under a basis, and there is none');
  }
  return found;
}

/**
 * What stands at the user's key, or stood there when this container wrote it: a commit upon something older fails. That an event
 * was applied before is not taken from memory alone, since nothing is committed upon it: the user may be forgotten by now.
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

async function remember(
  episode: Episode,
  { episodes, pending, onPending }: UpdateUserServices,
): Promise<void> {
  try {
    await episodes.store(episode, { signal: AbortSignal.timeout(BANK_DEADLINE_MS) });
  } catch (error) {
    onPending(error);
    await pending.put(episode);
  }
}
