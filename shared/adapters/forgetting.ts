import { PREFIX } from '../config/names.ts';
import type { EpisodeStore } from '../episodes/episode-store.ts';
import { ConflictError } from '../errors.ts';
import type { KeyedVersion, ObjectStore } from '../storage/objects.ts';
import { type AdapterStore, adapterKey } from './adapter-store.ts';
import { TOMBSTONE_DAYS, type Tombstone } from './tombstone.ts';

/** What was removed, by kind. */
export interface Removed {
  /** Versions of the adapter, including delete markers. */
  readonly adapterVersions: number;
  readonly episodes: number;
  /** Versions of pending episodes. */
  readonly pendingEpisodes: number;
  /** Versions of quarantined messages. */
  readonly quarantined: number;
}

export interface UserRecords {
  readonly objects: Pick<ObjectStore, 'versionsUnder' | 'delete'>;
  readonly adapters: AdapterStore;
  readonly episodes: EpisodeStore;
}

const MAX_ATTEMPTS = 20;
const DAY_MS = 86_400_000;

/**
 * Replaces a user's adapter with a tombstone, unless there is one already. From then on only
 * updates that had started before can write about the user. Wait for those to end, then remove.
 * @param now epoch milliseconds
 * @throws ConflictError when other writers won every attempt; UnavailableError
 */
export async function buryUser(
  userKey: string,
  { adapters }: Pick<UserRecords, 'adapters'>,
  now: number,
): Promise<Tombstone> {
  for (let attempt = 1; ; attempt++) {
    const { tombstone, etag } = await adapters.find(userKey);
    if (tombstone !== undefined && tombstone.expiresAt > now) return tombstone;
    const next = { userKey, forgottenAt: now, expiresAt: now + TOMBSTONE_DAYS * DAY_MS };
    try {
      await adapters.bury(next, etag);
      return next;
    } catch (error) {
      if (!(error instanceof ConflictError) || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/**
 * Removes everything about a user, in all versions, except the tombstone. Can be repeated at any
 * time, and continues after an interruption.
 * @throws UnavailableError
 */
export async function removeUser(userKey: string, records: UserRecords): Promise<Removed> {
  const { objects, episodes } = records;
  const remove = async (prefix: string, isGone: (version: KeyedVersion) => boolean = () => true) => {
    let removed = 0;
    for (const { key, versionId } of await kept(objects, prefix, isGone)) {
      await objects.delete(key, { versionId });
      removed += 1;
    }
    return removed;
  };
  return {
    adapterVersions: await remove(adapterKey(userKey), ({ latest }) => !latest),
    episodes: await episodes.forgetUser(userKey),
    pendingEpisodes: await remove(`${PREFIX.pending}${userKey}/`),
    quarantined: await remove(`${PREFIX.quarantine}${userKey}/`),
  };
}

/**
 * Lists what is still stored about a user, except the tombstone.
 * @returns one line per kind of object
 * @throws UnavailableError
 */
export async function remainsOf(userKey: string, records: UserRecords): Promise<string[]> {
  const { objects, adapters, episodes } = records;
  const remains: string[] = [];
  const { adapter, damage } = await adapters.find(userKey);
  if (adapter !== undefined) remains.push(`the adapter, version ${adapter.version}`);
  if (damage !== undefined) remains.push('the adapter, damaged');
  const earlier = await kept(objects, adapterKey(userKey), ({ latest }) => !latest);
  if (earlier.length > 0) remains.push(`${earlier.length} earlier versions of the adapter`);
  const inBank = await Array.fromAsync(episodes.ofUser(userKey));
  if (inBank.length > 0) remains.push(`${inBank.length} episodes`);
  for (const [prefix, what] of [
    [PREFIX.pending, 'pending episodes'],
    [PREFIX.quarantine, 'quarantined messages'],
  ]) {
    const found = await kept(objects, `${prefix}${userKey}/`, () => true);
    if (found.length > 0) remains.push(`${found.length} versions of ${what}`);
  }
  return remains;
}

/** Versions under a prefix. Lists all of them before the caller removes any. */
async function kept(
  objects: Pick<ObjectStore, 'versionsUnder'>,
  prefix: string,
  counts: (version: KeyedVersion) => boolean,
): Promise<KeyedVersion[]> {
  const versions = await Array.fromAsync(objects.versionsUnder(prefix));
  return versions.filter(counts);
}
