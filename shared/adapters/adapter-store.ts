import { PREFIX } from '../config/names.ts';
import type { Objects } from '../storage/objects.ts';
import { decodeTensors } from '../storage/safetensors.ts';
import { decodeAdapter, encodeAdapter, type StoredAdapter } from './adapter-object.ts';
import { decodeTombstone, encodeTombstone, isTombstone, type Tombstone } from './tombstone.ts';

/** An adapter with the ETag of the object that it was read from; the next commit replaces exactly that object. */
export interface Loaded {
  readonly adapter: StoredAdapter;
  readonly etag: string;
}

/** What stands at a user's key: an adapter, the tombstone of a forgotten user, or nothing. */
export type Place =
  | (Loaded & { readonly tombstone?: undefined })
  | { readonly tombstone: Tombstone; readonly etag: string; readonly adapter?: undefined }
  | { readonly etag?: undefined; readonly adapter?: undefined; readonly tombstone?: undefined };

/** Adapters in S3, one object per user. A commit is one conditional PUT. */
export class AdapterStore {
  readonly #objects: Objects;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /**
   * For readers, to whom a forgotten user is a user without an adapter.
   * @param cached what the caller holds already; it is returned as it is when S3 has nothing newer
   * @throws CorruptObjectError, UnavailableError
   */
  async load(userKey: string, cached?: Loaded): Promise<Loaded | undefined> {
    const place = await this.find(userKey, cached);
    return place.adapter === undefined ? undefined : place;
  }

  /**
   * For writers, who must not pass a tombstone.
   * @param cached what the caller holds already; it is returned as it is when S3 has nothing newer
   * @throws CorruptObjectError, UnavailableError
   */
  async find(userKey: string, cached?: Loaded): Promise<Place> {
    const found = await this.#objects.get(
      adapterKey(userKey),
      cached === undefined ? {} : { ifNoneMatch: cached.etag },
    );
    if (found === 'not-modified') return cached ?? {};
    return found === undefined ? {} : decodePlace(found.body, found.etag, adapterKey(userKey));
  }

  /**
   * @param replaces ETag of what stood at the key when `adapter` was made; undefined where there was nothing
   * @throws ConflictError when somebody else wrote since, UnavailableError
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
   * Puts a tombstone where the adapter stood; earlier versions remain.
   * @throws ConflictError when somebody else wrote since, UnavailableError
   */
  async bury(tombstone: Tombstone, replaces: string | undefined): Promise<void> {
    await this.#objects.put(adapterKey(tombstone.userKey), encodeTombstone(tombstone), conditionOf(replaces));
  }
}

export function adapterKey(userKey: string): string {
  return `${PREFIX.adapters}${userKey}`;
}

/** @throws CorruptObjectError */
export function decodePlace(body: Uint8Array, etag: string, key: string): Place {
  const file = decodeTensors(body, key);
  return isTombstone(file)
    ? { tombstone: decodeTombstone(file, key), etag }
    : { adapter: decodeAdapter(file, key), etag };
}

function conditionOf(replaces: string | undefined) {
  return replaces === undefined ? { ifNoneMatch: true as const } : { ifMatch: replaces };
}
