import { AttuneError, CorruptObjectError } from '../errors.ts';
import type { ListedVersion, Objects, StoredObject } from './objects.ts';

/** What an object says, and what is to be replaced by the next write. */
export interface Readable<T> {
  /** Of the newest version that can be read; undefined where none can. */
  readonly value: T | undefined;
  /** Of the newest version, damaged or not. */
  readonly etag: string;
  /** Why the newest version cannot be read. */
  readonly damage?: CorruptObjectError | undefined;
}

/** Earlier versions that are looked at: the bucket keeps ten for good. */
const MOST_EARLIER = 10;
/**
 * Where versions are counted in the object itself, the count goes on so much further after damage:
 * no number comes twice, whatever those had that cannot be read.
 */
export const SKIPPED_AFTER_DAMAGE = 1_000;

/**
 * Decodes an object; where its bytes are damaged, the newest earlier version that is not.
 * @param found the newest version
 * @param decode throws CorruptObjectError for bytes that are damaged
 */
export async function readableOf<T>(
  found: StoredObject,
  key: string,
  objects: Pick<Objects, 'get' | 'versions'>,
  decode: (bytes: Uint8Array, key: string) => T,
): Promise<Readable<T>> {
  const { etag } = found;
  try {
    return { value: decode(found.body, key), etag };
  } catch (damage) {
    if (!(damage instanceof CorruptObjectError)) throw damage;
    return { value: await readableBefore(key, objects, decode), etag, damage };
  }
}

/** What the newest earlier version says that can be read; undefined where none can. */
export async function readableBefore<T>(
  key: string,
  objects: Pick<Objects, 'get' | 'versions'>,
  decode: (bytes: Uint8Array, key: string) => T,
): Promise<T | undefined> {
  try {
    let looked = 0;
    for await (const { versionId } of earlierVersions(key, objects)) {
      if (++looked > MOST_EARLIER) break;
      const earlier = await objects.get(key, { versionId });
      if (earlier === undefined || earlier === 'not-modified') continue;
      try {
        return decode(earlier.body, key);
      } catch (error) {
        if (!(error instanceof CorruptObjectError)) throw error;
      }
    }
  } catch (error) {
    // Earlier versions are a help, and no duty: a role of before may not read them.
    if (!(error instanceof AttuneError)) throw error;
  }
  return undefined;
}

async function* earlierVersions(
  key: string,
  objects: Pick<Objects, 'versions'>,
): AsyncGenerator<ListedVersion, void, undefined> {
  for await (const version of objects.versions(key)) {
    if (!version.latest && !version.deleteMarker) yield version;
  }
}
