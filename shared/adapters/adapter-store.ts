import { PREFIX, TOMBSTONE_TAG } from '../config/names.ts';
import { CorruptObjectError } from '../errors.ts';
import type { Objects } from '../storage/objects.ts';
import { readableBefore } from '../storage/readable.ts';
import { decodeTensors } from '../storage/safetensors.ts';
import { decodeAdapter, encodeAdapter, type StoredAdapter } from './adapter-object.ts';
import { decodeTombstone, encodeTombstone, isTombstone, type Tombstone } from './tombstone.ts';

/** An adapter with the ETag of its object. The next commit replaces exactly that object. */
export interface Loaded {
  readonly adapter: StoredAdapter;
  readonly etag: string;
}

/**
 * The object at a user's key: an adapter, the tombstone of a forgotten user, damaged bytes, or
 * nothing.
 */
export type Place =
  | Sound
  | {
      readonly damage: CorruptObjectError;
      readonly etag: string;
      readonly adapter?: undefined;
      readonly tombstone?: undefined;
    };
type Sound = { readonly damage?: undefined } & (
  | (Loaded & { readonly tombstone?: undefined })
  | { readonly tombstone: Tombstone; readonly etag: string; readonly adapter?: undefined }
  | { readonly etag?: undefined; readonly adapter?: undefined; readonly tombstone?: undefined }
);

/** Most adapters that the listing reads: twenty list requests. */
const MOST_LISTED = 20_000;

/** Adapters in S3, one object per user. A commit is one conditional PUT. */
export class AdapterStore {
  readonly #objects: Objects;
  readonly #onDamage: (error: CorruptObjectError) => void;

  /** @param onDamage called when {@link load} reads a damaged adapter */
  constructor(objects: Objects, onDamage: (error: CorruptObjectError) => void = () => {}) {
    this.#objects = objects;
    this.#onDamage = onDamage;
  }

  /**
   * For readers: a forgotten user has no adapter. A damaged adapter is replaced by the newest
   * readable version before it.
   * @param cached what the caller has; it is returned unchanged when S3 has nothing newer
   * @throws UnavailableError
   */
  async load(userKey: string, cached?: Loaded): Promise<Loaded | undefined> {
    const { adapter, etag, damage } = await this.find(userKey, cached);
    if (damage === undefined) return adapter && { adapter, etag };
    this.#onDamage(damage);
    const key = adapterKey(userKey);
    const before = await readableBefore(key, this.#objects, (bytes) => decodePlace(bytes, '', key));
    return before?.adapter && { adapter: before.adapter, etag };
  }

  /**
   * For writers, who must overwrite neither a tombstone nor an object that they cannot read.
   * @param cached what the caller has; it is returned unchanged when S3 has nothing newer
   * @throws UnavailableError
   */
  async find(userKey: string, cached?: Loaded): Promise<Place> {
    const found = await this.#objects.get(
      adapterKey(userKey),
      cached === undefined ? {} : { ifNoneMatch: cached.etag },
    );
    if (found === 'not-modified') return cached ?? {};
    if (found === undefined) return {};
    try {
      return decodePlace(found.body, found.etag, adapterKey(userKey));
    } catch (damage) {
      if (!(damage instanceof CorruptObjectError)) throw damage;
      return { damage, etag: found.etag };
    }
  }

  /**
   * @param replaces ETag of the object that `adapter` was made from; undefined when there was none
   * @throws ConflictError when another writer was first, UnavailableError
   */
  async commit(adapter: StoredAdapter, replaces: string | undefined): Promise<Loaded> {
    const { etag } = await this.#objects.put(
      adapterKey(adapter.userKey),
      encodeAdapter(adapter),
      conditionOf(replaces),
    );
    return { adapter, etag };
  }

  /**
   * The keys of the users with the largest objects, who interacted with most items. Reads at most
   * 20,000 adapters, the first by key. Keys are hashes, so these are a random sample.
   * @throws UnavailableError
   */
  async largest(count: number): Promise<string[]> {
    const listed: { readonly key: string; readonly size: number }[] = [];
    for await (const { key, size } of this.#objects.list(PREFIX.adapters)) {
      listed.push({ key, size });
      if (listed.length === MOST_LISTED) break;
    }
    // Keys are in order, and a stable sort keeps that order among equal sizes.
    const bySize = listed.sort((a, b) => b.size - a.size).slice(0, count);
    return bySize.map(({ key }) => key.slice(PREFIX.adapters.length));
  }

  /**
   * Replaces the adapter with a tombstone; earlier versions remain.
   * @throws ConflictError when another writer was first, UnavailableError
   */
  async bury(tombstone: Tombstone, replaces: string | undefined): Promise<void> {
    const { userKey } = tombstone;
    await this.#objects.put(
      adapterKey(userKey),
      encodeTombstone(tombstone),
      conditionOf(replaces),
      TOMBSTONE_TAG,
    );
  }
}

export function adapterKey(userKey: string): string {
  return `${PREFIX.adapters}${userKey}`;
}

/** @throws CorruptObjectError for damaged bytes, and for an object that belongs to another key */
export function decodePlace(body: Uint8Array, etag: string, key: string): Sound {
  const file = decodeTensors(body, key);
  const place = isTombstone(file)
    ? { tombstone: decodeTombstone(file, key), etag }
    : { adapter: decodeAdapter(file, key), etag };
  const owner = (place.adapter ?? place.tombstone)?.userKey;
  if (owner !== undefined && adapterKey(owner) !== key)
    throw new CorruptObjectError(
      key,
      `found an object of user ${owner}, expected one of the user in the key`,
    );
  return place;
}

function conditionOf(replaces: string | undefined) {
  return replaces === undefined ? { ifNoneMatch: true as const } : { ifMatch: replaces };
}
