import { type CorruptObjectError, UnavailableError } from '../errors.ts';
import type { Objects } from './objects.ts';
import { type Readable, readableOf } from './readable.ts';

export interface SharedObjectOptions {
  /**
   * How long {@link SharedObject.read} answers from memory before it asks S3 whether there is
   * something newer. Default 30 seconds.
   */
  readonly maxAgeMs?: number;
  /** Milliseconds of any monotonic clock. */
  readonly now?: () => number;
  /** Called whenever the newest version turns out to be damaged. */
  readonly onDamage?: (error: CorruptObjectError) => void;
}

/**
 * One object that many users share, such as the basis. Written conditionally, read through a cache.
 * A damaged object is not fatal: readers use the value that this instance read last, otherwise the
 * newest readable version; see {@link damage}. The next write replaces the damaged one.
 */
export class SharedObject<T> {
  readonly #objects: Objects;
  readonly #key: string;
  readonly #codec: { encode(value: T): Uint8Array; decode(bytes: Uint8Array, key: string): T };
  readonly #maxAgeMs: number;
  readonly #now: () => number;
  readonly #onDamage: (error: CorruptObjectError) => void;
  #cached: Readable<T> | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<T | undefined> | undefined;
  /**
   * Number of requests started, and the last of them whose answer was used. An answer to an earlier
   * request is outdated.
   */
  #begun = 0;
  #told = 0;

  constructor(
    objects: Objects,
    key: string,
    codec: { encode(value: T): Uint8Array; decode(bytes: Uint8Array, key: string): T },
    { maxAgeMs = 30_000, now = () => performance.now(), onDamage = () => {} }: SharedObjectOptions = {},
  ) {
    this.#objects = objects;
    this.#key = key;
    this.#codec = codec;
    this.#maxAgeMs = maxAgeMs;
    this.#now = now;
    this.#onDamage = onDamage;
  }

  /** Damage of the newest version at the last read; undefined when it was readable or missing. */
  get damage(): CorruptObjectError | undefined {
    return this.#cached?.damage;
  }

  /**
   * The value, undefined when there is none. Concurrent callers share one request. While S3 does
   * not answer, a value that was read before is still good: it is only older.
   * @throws UnavailableError
   */
  async read(): Promise<T | undefined> {
    if (this.#now() - this.#checkedAt <= this.#maxAgeMs) return this.#cached?.value;
    try {
      this.#reading ??= this.refresh().finally(() => {
        this.#reading = undefined;
      });
      return await this.#reading;
    } catch (error) {
      if (!(error instanceof UnavailableError) || this.#cached === undefined) throw error;
      return this.#cached.value;
    }
  }

  /**
   * The value in S3, at the time of the call or later. Always starts a new S3 read.
   * @throws UnavailableError
   */
  async refresh(): Promise<T | undefined> {
    const order = ++this.#begun;
    const cached = this.#cached;
    const startedAt = this.#now();
    const found = await this.#objects.get(
      this.#key,
      cached === undefined ? {} : { ifNoneMatch: cached.etag },
    );
    const next =
      found === undefined || found === 'not-modified'
        ? found
        : await readableOf(found, this.#key, this.#objects, this.#codec.decode);
    if (order < this.#told) return this.#cached?.value;
    if (next !== 'not-modified') {
      const kept = next?.damage === undefined ? undefined : this.#cached?.value;
      this.#cached = next && { ...next, value: kept ?? next.value };
    }
    this.#told = order;
    this.#checkedAt = startedAt;
    if (this.#cached?.damage !== undefined) this.#onDamage(this.#cached.damage);
    return this.#cached?.value;
  }

  /**
   * Replaces the object that was read last; creates it when there was none.
   * @throws ConflictError when another writer was first, UnavailableError
   */
  async write(value: T): Promise<void> {
    const condition =
      this.#cached === undefined ? { ifNoneMatch: true as const } : { ifMatch: this.#cached.etag };
    const { etag } = await this.#objects.put(this.#key, this.#codec.encode(value), condition);
    this.#cached = { value, etag };
    this.#told = ++this.#begun;
    this.#checkedAt = this.#now();
  }
}
