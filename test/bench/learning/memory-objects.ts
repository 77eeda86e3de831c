import { createHash } from 'node:crypto';
import { ConflictError } from '../../../shared/errors.ts';
import type {
  ListedObject,
  ListedVersion,
  StoredObject,
  StoredVersion,
  WriteCondition,
} from '../../../shared/storage/objects.ts';

/** An S3 for the stores in memory, with conditional writes and counted requests. */
export class MemoryObjects {
  readonly #objects = new Map<string, StoredObject>();
  reads = 0;
  writes = 0;

  async get(
    key: string,
    { ifNoneMatch }: { readonly ifNoneMatch?: string } = {},
  ): Promise<StoredObject | 'not-modified' | undefined> {
    this.reads += 1;
    const found = this.#objects.get(key);
    return found !== undefined && found.etag === ifNoneMatch ? 'not-modified' : found;
  }

  async put(key: string, body: Uint8Array, condition: WriteCondition = {}): Promise<StoredVersion> {
    this.writes += 1;
    const found = this.#objects.get(key);
    const holds = condition.ifNoneMatch
      ? found === undefined
      : condition.ifMatch === undefined || found?.etag === condition.ifMatch;
    if (!holds) throw new ConflictError(`${key}: found ${found?.etag ?? 'no object'}`);
    const etag = `"${createHash('md5').update(body).digest('hex')}"`;
    this.#objects.set(key, { body: body.slice(), etag });
    return { etag };
  }

  async delete(key: string): Promise<void> {
    this.writes += 1;
    this.#objects.delete(key);
  }

  /** It keeps none. */
  async *versions(): AsyncGenerator<ListedVersion, void, undefined> {}

  async *list(prefix: string): AsyncGenerator<ListedObject, void, undefined> {
    for (const key of [...this.#objects.keys()].sort()) {
      const { body, etag } = this.#objects.get(key)!;
      if (key.startsWith(prefix)) yield { key, etag, size: body.length, lastModified: new Date(0) };
    }
  }
}
