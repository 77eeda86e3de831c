import { buryUser, type Removed, remainsOf, removeUser, type UserRecords } from '../adapters/forgetting.ts';
import { userKey } from '../config/user-key.ts';
import { CorruptObjectError, NotFoundError, UnavailableError } from '../errors.ts';
import type { DeadLetters } from '../feedback/dead-letters.ts';
import { drainDeadLetters } from '../feedback/redrive.ts';
import type { Deployment } from './deployment.ts';

/** The time limit of the function that updates adapters, and a little more. */
export const SETTLE_SECONDS = 35;

/** What was removed of a user. */
export interface ForgetReceipt {
  /** SHA-256 of the user id, hex. */
  readonly userKey: string;
  /** ISO 8601. */
  readonly forgottenAt: string;
  /** ISO 8601. Events of the user that arrive until then are dropped. */
  readonly eventsAreDroppedUntil: string;
  readonly removed: Removed & { readonly deadLetters: number };
  /** Everything was read again, and nothing but the tombstone was there. */
  readonly verified: true;
}

export interface ForgetOptions {
  /** Waits until updates have finished that are under way. */
  readonly settle: () => Promise<void>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Whether later events are dropped even where nothing is known of the user. */
  readonly tombstone: boolean;
}

/**
 * Removes everything that is kept of a user, and checks that it is gone. May be done again at any time.
 * @throws NotFoundError where nothing is known of the user; UnavailableError when something is still there
 */
export async function forgetUser(
  userId: string,
  deployment: Deployment,
  { settle, now, tombstone: always }: ForgetOptions,
): Promise<ForgetReceipt> {
  const records: UserRecords = { ...(await deployment.bucket()), episodes: await deployment.episodes() };
  const deadLetters = await deployment.deadLetters();
  const key = userKey(userId);
  if (!always) await refuseUnknown(key, records, deadLetters);
  const tombstone = await buryUser(key, records, now());
  const atOnce = await removeUser(key, records);
  await settle();
  const removed = sum(atOnce, await removeUser(key, records));
  const drained = await drainDeadLetters(
    deadLetters,
    ({ groupId }) => groupId === key,
    async () => {},
  );
  const [error] = drained.errors;
  if (error !== undefined) throw error;
  const remains = await remainsOf(key, records);
  if (remains.length > 0)
    throw new UnavailableError(`still there: ${remains.join(', ')}; forget the user again`);
  return {
    userKey: key,
    forgottenAt: new Date(tombstone.forgottenAt).toISOString(),
    eventsAreDroppedUntil: new Date(tombstone.expiresAt).toISOString(),
    removed: { ...removed, deadLetters: drained.handled },
    verified: true,
  };
}

/** @throws NotFoundError where nothing is known of a user: a mistyped id must not drop events of somebody else */
async function refuseUnknown(key: string, records: UserRecords, deadLetters: DeadLetters): Promise<void> {
  if (await isKnown(key, records)) return;
  let letters = 0;
  await drainDeadLetters(
    deadLetters,
    ({ groupId }) => {
      if (groupId === key) letters++;
      return false;
    },
    async () => {},
  );
  if (letters > 0) return;
  throw new NotFoundError(
    `nothing is known of this user (key ${key}), and nothing was written; ` +
      'with tombstone, later events of the user are dropped all the same',
  );
}

async function isKnown(key: string, records: UserRecords): Promise<boolean> {
  try {
    if ((await records.adapters.find(key)).tombstone !== undefined) return true;
    return (await remainsOf(key, records)).length > 0;
  } catch (error) {
    if (error instanceof CorruptObjectError) return true;
    throw error;
  }
}

function sum(a: Removed, b: Removed): Removed {
  return {
    adapterVersions: a.adapterVersions + b.adapterVersions,
    episodes: a.episodes + b.episodes,
    pendingEpisodes: a.pendingEpisodes + b.pendingEpisodes,
    quarantined: a.quarantined + b.quarantined,
  };
}
