import { createHash } from 'node:crypto';

/**
 * The name of a user wherever the user id itself must not or cannot stand: message groups, object keys, table keys.
 * Ids differ in length and alphabet; their SHA-256 (64 hex digits of the UTF-8 bytes) fits everywhere and never collides.
 */
export function userKey(userId: string): string {
  return createHash('sha256').update(userId).digest('hex');
}
