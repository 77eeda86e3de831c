import { buryUser, type Removed, remainsOf, removeUser, type UserRecords } from '../adapters/forgetting.ts';
import { userKey } from '../config/user-key.ts';
import { NotFoundError, UnavailableError } from '../errors.ts';
import type { DeadLetters } from '../feedback/dead-letters.ts';
import { isMessageOf } from '../feedback/ownership.ts';
import { drainDeadLetters } from '../feedback/redrive.ts';
import { removeUnattributed, unattributedTo } from '../feedback/unattributed.ts';
import type { ObjectStore } from '../storage/objects.ts';
import type { Deployment } from './deployment.ts';

/** A little more than the time limit of the function that updates adapters. */
export const SETTLE_SECONDS = 35;

/** Counts of removed objects, by kind. */
export interface ForgetReceipt {
  /** SHA-256 of the user id, hex. */
  readonly userKey: string;
  /** ISO 8601. */
  readonly forgottenAt: string;
  /** ISO 8601. Events of the user that arrive until then are dropped. */
  readonly eventsAreDroppedUntil: string;
  readonly removed: Removed & { readonly deadLetters: number };
  /** The command read everything again and found only the tombstone. */
  readonly verified: true;
}

interface ForgettingRecords extends UserRecords {
  readonly objects: ObjectStore;
}

export interface ForgetOptions {
  /** Milliseconds to wait for running updates to end. */
  readonly settle: () => Promise<void>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Whether to drop later events even if nothing is known about the user. */
  readonly tombstone: boolean;
}

/**
 * Removes everything stored about a user, and checks that it is gone. Can be repeated at any time.
 * @throws NotFoundError when nothing is known about the user; UnavailableError when something is
 * left
 */
export async function forgetUser(
  userId: string,
  deployment: Deployment,
  { settle, now, tombstone: always }: ForgetOptions,
): Promise<ForgetReceipt> {
  const { objects, adapters } = await deployment.bucket();
  const records = { objects, adapters, episodes: await deployment.episodes() };
  const deadLetters = await deployment.deadLetters();
  const key = userKey(userId);
  if (!always) await refuseUnknown(userId, records, deadLetters);
  const tombstone = await buryUser(key, records, now());
  const atOnce = await removeUser(key, records);
  await settle();
  const removed = sum(atOnce, await removeUser(key, records));
  const unattributed = await removeUnattributed(userId, objects);
  const letters = await removeDeadLetters(userId, deadLetters);
  const remains = [...(await remainsOf(key, records)), ...letters.remains];
  if ((await unattributedTo(userId, objects)).length > 0)
    remains.push('quarantined messages of an unknown user');
  if (remains.length > 0)
    throw new UnavailableError(`still there: ${remains.join(', ')}; forget the user again`);
  return {
    userKey: key,
    forgottenAt: new Date(tombstone.forgottenAt).toISOString(),
    eventsAreDroppedUntil: new Date(tombstone.expiresAt).toISOString(),
    removed: {
      ...removed,
      quarantined: removed.quarantined + unattributed,
      deadLetters: letters.removed,
    },
    verified: true,
  };
}

/**
 * Removes the user's messages from the dead-letter queue, and checks again. Some can be
 * unreachable: messages that another consumer has received, and those after others of their group,
 * which a FIFO queue does not deliver.
 */
async function removeDeadLetters(
  userId: string,
  deadLetters: DeadLetters,
): Promise<{ removed: number; remains: string[] }> {
  let removed = 0;
  for (;;) {
    let others = 0;
    const drained = await drainDeadLetters(
      deadLetters,
      (letter) => {
        const isTheirs = isMessageOf(userId, letter);
        if (!isTheirs) others += 1;
        return isTheirs;
      },
      async () => {},
    );
    const [error] = drained.errors;
    if (error !== undefined) throw error;
    removed += drained.handled;
    // Another message may have waited behind a removed one.
    if (drained.handled > 0) continue;
    const { visible, inFlight } = await deadLetters.count();
    const remains: string[] = [];
    if (inFlight > 0) remains.push(`perhaps some of ${inFlight} dead letters that another consumer holds`);
    if (visible > others) {
      remains.push(
        `perhaps some of ${visible - others} dead letters behind others of their group; ` +
          'attune dlq redrive or purge removes these',
      );
    }
    return { removed, remains };
  }
}

/**
 * @throws NotFoundError when nothing is known about a user: a mistyped id must not drop another
 * user's events
 */
async function refuseUnknown(
  userId: string,
  records: ForgettingRecords,
  deadLetters: DeadLetters,
): Promise<void> {
  const key = userKey(userId);
  if (await isKnown(userId, records)) return;
  let letters = 0;
  await drainDeadLetters(
    deadLetters,
    (letter) => {
      if (isMessageOf(userId, letter)) letters++;
      return false;
    },
    async () => {},
  );
  if (letters > 0) return;
  throw new NotFoundError(
    `nothing is known about this user (key ${key}), so nothing was written; ` +
      'to drop later events of the user anyway, use the option tombstone (--tombstone)',
  );
}

async function isKnown(userId: string, records: ForgettingRecords): Promise<boolean> {
  const key = userKey(userId);
  if ((await records.adapters.find(key)).tombstone !== undefined) return true;
  if ((await remainsOf(key, records)).length > 0) return true;
  return (await unattributedTo(userId, records.objects)).length > 0;
}

function sum(a: Removed, b: Removed): Removed {
  return {
    adapterVersions: a.adapterVersions + b.adapterVersions,
    episodes: a.episodes + b.episodes,
    pendingEpisodes: a.pendingEpisodes + b.pendingEpisodes,
    quarantined: a.quarantined + b.quarantined,
  };
}
