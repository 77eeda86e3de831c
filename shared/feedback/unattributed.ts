import { PREFIX } from '../config/names.ts';
import type { KeyedVersion, ObjectStore } from '../storage/objects.ts';
import { isMessageOf } from './ownership.ts';

type Objects = Pick<ObjectStore, 'versionsUnder' | 'get' | 'delete'>;

/**
 * Versions of quarantined messages that contain the user's id but no readable user.
 * @throws UnavailableError
 */
export async function unattributedTo(
  userId: string,
  objects: Omit<Objects, 'delete'>,
): Promise<KeyedVersion[]> {
  const found: KeyedVersion[] = [];
  for await (const version of objects.versionsUnder(`${PREFIX.quarantine}unknown/`)) {
    const { key, versionId } = version;
    const object = version.deleteMarker ? undefined : await objects.get(key, { versionId });
    if (typeof object !== 'object') continue;
    const text = Buffer.from(object.body).toString('utf8');
    if (isMessageOf(userId, { body: bodyOf(text) })) found.push(version);
  }
  return found;
}

/**
 * Removes the versions that {@link unattributedTo} finds.
 * @returns their number
 * @throws UnavailableError
 */
export async function removeUnattributed(userId: string, objects: Objects): Promise<number> {
  const found = await unattributedTo(userId, objects);
  for (const { key, versionId } of found) await objects.delete(key, { versionId });
  return found.length;
}

/** The body of a message in quarantine; the whole text when it is damaged. */
function bodyOf(text: string): string {
  try {
    const { body } = Object(JSON.parse(text));
    return typeof body === 'string' ? body : text;
  } catch {
    return text;
  }
}
