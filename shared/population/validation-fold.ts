/**
 * One user in ten is in the validation fold. No prior is fitted to them, so that priors can be
 * compared on them.
 */
const VALIDATION_FOLD = 10;
/** Most users sampled on each side of the fold: to fit a prior to, and to compare priors on. */
const MAX_USERS = 200;

/** Whether a user belongs to the validation fold. A user never changes sides. */
export function isValidationUser(userKey: string): boolean {
  return Number.parseInt(userKey.slice(-8), 16) % VALIDATION_FOLD === 0;
}

/**
 * The users to sample, at most 200 on each side of the validation fold.
 * @param users in the order of preference
 */
export function sampleOf(users: Iterable<string>): string[] {
  const room = { inside: MAX_USERS, outside: MAX_USERS };
  return [...users].filter((userKey) => room[isValidationUser(userKey) ? 'inside' : 'outside']-- > 0);
}
