import { PREFIX } from '../runtime/names.ts';
import { decodeAdapter, encodeAdapter, type StoredAdapter } from './adapter-object.ts';
import type { Objects } from './objects.ts';

/** An adapter with the ETag of the object that it was read from; the next commit replaces exactly that object. */
export interface Loaded {
  readonly adapter: StoredAdapter;
  readonly etag: string;
}

/** Adapters in S3, one object per user. A commit is one conditional PUT. */
export class AdapterStore {
  readonly #objects: Objects;

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /**
   * @param cached what the caller holds already; it is returned as it is when S3 has nothing newer
   * @throws CorruptObjectError, UnavailableError
   */
  async load(userKey: string, cached?: Loaded): Promise<Loaded | undefined> {
    const key = adapterKey(userKey);
    const found = await this.#objects.get(key, cached === undefined ? {} : { ifNoneMatch: cached.etag });
    if (found === 'not-modified') return cached;
    return found === undefined ? undefined : { adapter: decodeAdapter(found.body, key), etag: found.etag };
  }

  /**
   * @param replaces ETag of the version that `adapter` was made from; undefined for a user's first
   * @throws ConflictError when somebody else committed since, UnavailableError
   */
  async commit(adapter: StoredAdapter, replaces: string | undefined): Promise<Loaded> {
    const condition = replaces === undefined ? { ifNoneMatch: true as const } : { ifMatch: replaces };
    const { etag } = await this.#objects.put(adapterKey(adapter.userKey), encodeAdapter(adapter), condition);
    return { adapter, etag };
  }
}

export function adapterKey(userKey: string): string {
  return `${PREFIX.adapters}${userKey}`;
}
