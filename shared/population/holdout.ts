import { createHash } from 'node:crypto';

/**
 * Whether a user is held out: served without adapter, so that what adapters are worth can be measured in production. Which users are
 * depends on their keys alone, and a larger share holds out the same users and more.
 * @param userKey SHA-256 of the user id, hex
 * @param share of the users, 0 to 1
 */
export function isHeldOut(userKey: string, share: number): boolean {
  // Hashed once more, so that who is held out says nothing of who is in the validation fold of consolidation.
  return createHash('sha256').update(`holdout ${userKey}`).digest().readUInt32BE() < share * 2 ** 32;
}
