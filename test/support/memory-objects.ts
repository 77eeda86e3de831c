import { createHash } from 'node:crypto';
import { ConflictError } from '../../shared/errors.ts';
import type {
  ListedObject,
  ListedVersion,
  Objects,
  StoredObject,
  StoredVersion,
  WriteCondition,
} from '../../shared/storage/objects.ts';

/** A bucket in memory. As in S3, exactly one of several conditional writes wins. */
export class MemoryObjects implements Objects {
  readonly contents = new Map<string, StoredObject>();
  /** What was overwritten, newest first. */
  readonly #earlier = new Map<string, StoredObject[]>();

  async get(
    key: string,
    { ifNoneMatch, versionId }: { readonly ifNoneMatch?: string; readonly versionId?: string } = {},
  ): Promise<StoredObject | 'not-modified' | undefined> {
    if (versionId !== undefined) return this.#earlier.get(key)?.[Number(versionId)];
    const found = this.contents.get(key);
    return found !== undefined && found.etag === ifNoneMatch ? 'not-modified' : found;
  }

  async put(key: string, body: Uint8Array, condition: WriteCondition = {}): Promise<StoredVersion> {
    const found = this.contents.get(key)?.etag;
    const { ifMatch, ifNoneMatch } = condition;
    if ((ifNoneMatch && found !== undefined) || (ifMatch !== undefined && found !== ifMatch)) {
      throw new ConflictError(`${key}: found ${found ?? 'no object'}, expected ${ifMatch ?? 'none'}`);
    }
    const replaced = this.contents.get(key);
    if (replaced !== undefined) this.#earlier.set(key, [replaced, ...(this.#earlier.get(key) ?? [])]);
    const etag = `"${createHash('md5').update(body).digest('hex')}"`;
    this.contents.set(key, { body: new Uint8Array(body), etag });
    return { etag };
  }

  async delete(key: string): Promise<void> {
    this.contents.delete(key);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject, void, undefined> {
    for (const [key, { body, etag }] of this.contents) {
      if (key.startsWith(prefix)) yield { key, etag, size: body.length, lastModified: new Date(0) };
    }
  }

  /** Only versions before the newest have an id. */
  async *versions(key: string): AsyncGenerator<ListedVersion, void, undefined> {
    const common = { deleteMarker: false, lastModified: new Date(0) };
    if (this.contents.has(key)) yield { ...common, versionId: 'latest', latest: true };
    for (const i of this.#earlier.get(key)?.keys() ?? []) {
      yield { ...common, versionId: String(i), latest: false };
    }
  }

  copy(): MemoryObjects {
    const copy = new MemoryObjects();
    for (const [key, object] of this.contents) copy.contents.set(key, object);
    for (const [key, versions] of this.#earlier) copy.#earlier.set(key, versions);
    return copy;
  }

  /** Objects under a prefix that hold JSON. */
  documents<T>(prefix: string): T[] {
    return [...this.contents]
      .filter(([key]) => key.startsWith(prefix))
      .map(([, { body }]) => JSON.parse(Buffer.from(body).toString('utf8')) as T);
  }
}
