import { setTimeout as delay } from 'node:timers/promises';
import { Command, InvalidArgumentError } from 'commander';
import {
  buryUser,
  type Removed,
  remainsOf,
  removeUser,
  type UserRecords,
} from '../shared/adapters/forgetting.ts';
import { userKey } from '../shared/config/user-key.ts';
import { CorruptObjectError, NotFoundError, UnavailableError } from '../shared/errors.ts';
import type { DeadLetters } from '../shared/feedback/dead-letters.ts';
import { drainDeadLetters } from '../shared/feedback/redrive.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { printJson, printLine } from './output.ts';

/** The function's time limit, and a little more. */
const SETTLE_SECONDS = 35;

interface ForgetOptions extends DeploymentOptions {
  readonly settle: number;
  readonly tombstone?: boolean;
  readonly json?: boolean;
}

/** `attune forget`: removes all that is kept of a user, and says what. */
export function forgetCommand(): Command {
  const command = new Command('forget')
    .description('remove everything that is kept of a user, check that it is gone, and print a receipt')
    .argument('<user>', 'the user id')
    .option(
      '--settle <seconds>',
      'let updates finish that are under way, before removing what they wrote',
      seconds,
      SETTLE_SECONDS,
    )
    .option('--tombstone', 'drop later events of the user even where nothing is known of the user')
    .option('--json', 'print the receipt as one line of JSON')
    .action(forget);
  return withDeployment(command, 'bucket', 'table', 'deadLetterQueueUrl');
}

async function forget(user: string, options: ForgetOptions): Promise<void> {
  await onDeployment(options, async (deployment) => {
    const records: UserRecords = { ...(await deployment.bucket()), episodes: await deployment.episodes() };
    const deadLetters = await deployment.deadLetters();
    const key = userKey(user);
    if (options.tombstone !== true) await refuseUnknown(key, records, deadLetters);
    const tombstone = await buryUser(key, records, Date.now());
    const atOnce = await removeUser(key, records);
    await delay(options.settle * 1000);
    const removed = sum(atOnce, await removeUser(key, records));
    const drained = await drainDeadLetters(
      deadLetters,
      ({ groupId }) => groupId === key,
      async () => {},
    );
    const [error] = drained.errors;
    if (error !== undefined) throw error;
    const remains = await remainsOf(key, records);
    if (remains.length > 0) {
      throw new UnavailableError(`still there: ${remains.join(', ')}; run the command again`);
    }
    const receipt = {
      userKey: key,
      forgottenAt: new Date(tombstone.forgottenAt).toISOString(),
      eventsAreDroppedUntil: new Date(tombstone.expiresAt).toISOString(),
      removed: { ...removed, deadLetters: drained.handled },
      verified: true,
    };
    if (options.json) return printJson(receipt);
    printLine(`forgotten: user key ${key}`);
    for (const [what, count] of Object.entries(receipt.removed)) {
      printLine(`  ${String(count).padStart(6)} ${LABELS[what as keyof typeof LABELS]} removed`);
    }
    printLine('  read again: nothing is left but a tombstone');
    printLine(`  events of this user are dropped until ${receipt.eventsAreDroppedUntil}`);
  });
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
      '--tombstone drops later events of the user all the same',
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

const LABELS = {
  adapterVersions: 'versions of the adapter',
  episodes: 'episodes',
  pendingEpisodes: 'versions of pending episodes',
  quarantined: 'versions of quarantined messages',
  deadLetters: 'dead letters',
} as const;

function sum(a: Removed, b: Removed): Removed {
  return {
    adapterVersions: a.adapterVersions + b.adapterVersions,
    episodes: a.episodes + b.episodes,
    pendingEpisodes: a.pendingEpisodes + b.pendingEpisodes,
    quarantined: a.quarantined + b.quarantined,
  };
}

function seconds(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number of seconds.');
}
