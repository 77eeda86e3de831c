import { createHash } from 'node:crypto';

/**
 * The name of a user in message groups, object keys and table keys, where the user id must not
 * appear or does not fit. Ids differ in length and alphabet; their SHA-256 (64 hex digits of the
 * UTF-8 bytes) fits everywhere and never collides.
 */
export function userKey(userId: string): string {
  return createHash('sha256').update(userId).digest('hex');
}
