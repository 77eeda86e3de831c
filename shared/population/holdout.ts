import { createHash } from 'node:crypto';

/**
 * Whether a user is held out: served without adapter, so that the effect of adapters can be
 * measured in production. The user's key alone decides, and a larger share holds out the same users
 * and more.
 * @param userKey SHA-256 of the user id, hex
 * @param share of the users, 0 to 1
 */
export function isHeldOut(userKey: string, share: number): boolean {
  // A separate hash, so that the holdout is independent of the validation fold.
  return createHash('sha256').update(`holdout ${userKey}`).digest().readUInt32BE() < share * 2 ** 32;
}
