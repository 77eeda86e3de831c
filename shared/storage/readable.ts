import { AttuneError, CorruptObjectError } from '../errors.ts';
import type { ListedVersion, Objects, StoredObject } from './objects.ts';

/** The content of an object, and the condition for the next write. */
export interface Readable<T> {
  /** Content of the newest readable version; undefined when none is readable. */
  readonly value: T | undefined;
  /** ETag of the newest version, damaged or not. */
  readonly etag: string;
  /** Why the newest version cannot be read. */
  readonly damage?: CorruptObjectError | undefined;
}

/** Most earlier versions to read; the bucket keeps ten for good. */
const MOST_EARLIER = 10;
/**
 * After damage, counters in the object continue from this much more, so that no number is used
 * twice, whatever the unreadable versions had.
 */
export const SKIPPED_AFTER_DAMAGE = 1_000;

/**
 * Decodes an object; when its bytes are damaged, the newest undamaged version before it.
 * @param found the newest version
 * @param decode throws CorruptObjectError for damaged bytes
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

/** Content of the newest readable version before a damaged one; undefined when none is readable. */
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
    // Earlier versions are optional, because roles of earlier deployments may not read them.
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
