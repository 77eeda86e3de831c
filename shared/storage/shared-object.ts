import { UnavailableError } from '../errors.ts';
import type { Objects } from './objects.ts';

/** One object that many users share, such as the basis. Written conditionally, read through a cache. */
export class SharedObject<T> {
  readonly #objects: Objects;
  readonly #key: string;
  readonly #codec: { encode(value: T): Uint8Array; decode(bytes: Uint8Array, key: string): T };
  readonly #maxAgeMs: number;
  readonly #now: () => number;
  #cached: { value: T; etag: string } | undefined;
  #checkedAt = Number.NEGATIVE_INFINITY;
  #reading: Promise<T | undefined> | undefined;
  /** Requests begun, and the last of them that told something: one that was begun earlier and answered later tells nothing new. */
  #begun = 0;
  #told = 0;

  /**
   * @param maxAgeMs how long {@link read} answers from memory before it asks S3 whether there is something newer
   * @param now milliseconds of any monotonic clock
   */
  constructor(
    objects: Objects,
    key: string,
    codec: { encode(value: T): Uint8Array; decode(bytes: Uint8Array, key: string): T },
    { maxAgeMs = 30_000, now = () => performance.now() }: { maxAgeMs?: number; now?: () => number } = {},
  ) {
    this.#objects = objects;
    this.#key = key;
    this.#codec = codec;
    this.#maxAgeMs = maxAgeMs;
    this.#now = now;
  }

  /**
   * The value, undefined when there is none. Concurrent callers share one request. While S3 does not answer, a value that was
   * read before is still good: it is only older.
   * @throws CorruptObjectError, UnavailableError
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
   * The value as it stands in S3 when this is called or later: no request shared that was begun before.
   * @throws CorruptObjectError, UnavailableError
   */
  async refresh(): Promise<T | undefined> {
    const order = ++this.#begun;
    const cached = this.#cached;
    const startedAt = this.#now();
    const found = await this.#objects.get(
      this.#key,
      cached === undefined ? {} : { ifNoneMatch: cached.etag },
    );
    if (order < this.#told) return this.#cached?.value;
    if (found === undefined) this.#cached = undefined;
    else if (found !== 'not-modified')
      this.#cached = { value: this.#codec.decode(found.body, this.#key), etag: found.etag };
    this.#told = order;
    this.#checkedAt = startedAt;
    return this.#cached?.value;
  }

  /**
   * Replaces the object that was read last; creates it when there was none.
   * @throws ConflictError when somebody else was first, UnavailableError
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
