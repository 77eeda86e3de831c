import { ConflictError, CorruptObjectError, InvalidInputError, NotFoundError } from '../errors.ts';
import type { ObjectStore } from '../storage/objects.ts';
import type { StoredAdapter } from './adapter-object.ts';
import { type AdapterStore, adapterKey, decodePlace, type Loaded } from './adapter-store.ts';

/** A version of an adapter that S3 still has. */
export interface HistoricAdapter extends Loaded {
  /** S3's name for it. */
  readonly versionId: string;
  /** Length of the object. */
  readonly bytes: number;
}

/** A version with damaged bytes. */
export interface DamagedAdapter {
  readonly versionId: string;
  readonly damage: CorruptObjectError;
  readonly body: Uint8Array;
}

const MAX_ATTEMPTS = 20;

/**
 * Versions of a user's adapter that S3 still has, including damaged ones, newest first.
 * @throws UnavailableError
 */
export async function* adapterVersions(
  userKey: string,
  objects: Pick<ObjectStore, 'versions' | 'get'>,
): AsyncGenerator<(HistoricAdapter & { readonly damage?: undefined }) | DamagedAdapter, void, undefined> {
  const key = adapterKey(userKey);
  for await (const { versionId, deleteMarker } of objects.versions(key)) {
    if (deleteMarker) continue;
    const found = await objects.get(key, { versionId });
    if (found === undefined || found === 'not-modified') continue;
    const { body, etag } = found;
    try {
      const { adapter } = decodePlace(body, etag, key);
      if (adapter !== undefined) yield { adapter, etag, versionId, bytes: body.length };
    } catch (damage) {
      if (!(damage instanceof CorruptObjectError)) throw damage;
      yield { versionId, damage, body };
    }
  }
}

/**
 * Undamaged versions of a user's adapter, to roll back to, newest first.
 * @throws UnavailableError
 */
export async function* adapterHistory(
  userKey: string,
  objects: Pick<ObjectStore, 'versions' | 'get'>,
): AsyncGenerator<HistoricAdapter, void, undefined> {
  for await (const version of adapterVersions(userKey, objects)) {
    if (version.damage === undefined) yield version;
  }
}

/**
 * Deletes a user's adapter, so that the next event starts a new one; for an adapter without a
 * readable version. Earlier versions stay in the bucket.
 * @throws NotFoundError when the user has no adapter; UnavailableError
 */
export async function startAnew(
  userKey: string,
  { objects, adapters }: { objects: Pick<ObjectStore, 'delete'>; adapters: AdapterStore },
): Promise<void> {
  const { adapter, damage } = await adapters.find(userKey);
  if (adapter === undefined && damage === undefined) throw new NotFoundError('the user has no adapter');
  await objects.delete(adapterKey(userKey));
}

/**
 * Makes the learned state of an earlier version the newest version. Events applied since stay
 * applied: a redelivery does not learn them again. Later events continue from here. A damaged
 * newest version is skipped, and what only that version had applied is lost.
 * @param to the earlier version
 * @param now epoch milliseconds
 * @throws NotFoundError when the user has no adapter, or S3 no longer has that version;
 * InvalidInputError when it is not an earlier version; ConflictError when other writers won every
 * attempt; UnavailableError
 */
export async function rollBack(
  userKey: string,
  to: number,
  { objects, adapters }: { objects: Pick<ObjectStore, 'versions' | 'get'>; adapters: AdapterStore },
  now: number,
): Promise<StoredAdapter> {
  for (let attempt = 1; ; attempt++) {
    const { adapter: current, etag } = await newest(userKey, objects, adapters);
    const { version, createdAt, recentEvents, lastEpisode } = current;
    if (to >= version)
      throw new InvalidInputError('to', String(to), `a version before ${version}, the newest`);
    const earlier = await versionOf(userKey, to, objects);
    try {
      const next = { ...earlier, version: version + 1, createdAt, updatedAt: now, recentEvents, lastEpisode };
      return (await adapters.commit(next, etag)).adapter;
    } catch (error) {
      if (!(error instanceof ConflictError) || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/** The newest readable version, with the ETag of the object at the key. */
async function newest(
  userKey: string,
  objects: Pick<ObjectStore, 'versions' | 'get'>,
  adapters: AdapterStore,
): Promise<Loaded> {
  const { adapter, etag, damage } = await adapters.find(userKey);
  if (adapter !== undefined) return { adapter, etag };
  if (damage === undefined) throw new NotFoundError('the user has no adapter');
  const { value: readable } = await adapterHistory(userKey, objects).next();
  if (readable === undefined) {
    throw new NotFoundError(
      `${damage.message}; no earlier version can be read, --to 0 lets the user start anew`,
    );
  }
  // The damaged version's number is one higher.
  return { adapter: { ...readable.adapter, version: readable.adapter.version + 1 }, etag };
}

async function versionOf(
  userKey: string,
  version: number,
  objects: Pick<ObjectStore, 'versions' | 'get'>,
): Promise<StoredAdapter> {
  for await (const { adapter } of adapterHistory(userKey, objects)) {
    if (adapter.version === version) return adapter;
  }
  throw new NotFoundError(`found no version ${version} of the adapter: it has expired, or never existed`);
}
