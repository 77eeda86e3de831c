import { createHash } from 'node:crypto';
import { ConflictError } from '../../shared/errors.ts';
import type {
  ListedObject,
  Objects,
  StoredObject,
  StoredVersion,
  WriteCondition,
} from '../../shared/storage/objects.ts';

/** A bucket in memory whose conditional writes have one winner, as S3's have. */
export class MemoryObjects implements Objects {
  readonly contents = new Map<string, StoredObject>();

  async get(
    key: string,
    { ifNoneMatch }: { readonly ifNoneMatch?: string } = {},
  ): Promise<StoredObject | 'not-modified' | undefined> {
    const found = this.contents.get(key);
    return found !== undefined && found.etag === ifNoneMatch ? 'not-modified' : found;
  }

  async put(key: string, body: Uint8Array, condition: WriteCondition = {}): Promise<StoredVersion> {
    const found = this.contents.get(key)?.etag;
    const { ifMatch, ifNoneMatch } = condition;
    if ((ifNoneMatch && found !== undefined) || (ifMatch !== undefined && found !== ifMatch)) {
      throw new ConflictError(`${key}: found ${found ?? 'no object'}, expected ${ifMatch ?? 'none'}`);
    }
    const etag = `"${createHash('md5').update(body).digest('hex')}"`;
    this.contents.set(key, { body: body.slice(), etag });
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

  /** Objects under a prefix that hold JSON. */
  documents<T>(prefix: string): T[] {
    return [...this.contents]
      .filter(([key]) => key.startsWith(prefix))
      .map(([, { body }]) => JSON.parse(Buffer.from(body).toString('utf8')) as T);
  }
}
