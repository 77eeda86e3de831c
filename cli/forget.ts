import { setTimeout as delay } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { forgetUser, SETTLE_SECONDS } from '../shared/client/user-forget.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { printJson, printLine } from './output.ts';

interface ForgetCommandOptions extends DeploymentOptions {
  readonly settle: number;
  readonly tombstone?: boolean;
  readonly json?: boolean;
}

/** `attune forget`: removes everything stored about a user, and prints what it removed. */
export function forgetCommand(command: Command): Command {
  command
    .argument('<user>', 'the user id')
    .option(
      '--settle <seconds>',
      'time for running updates to finish, before their results are removed',
      seconds,
      SETTLE_SECONDS,
    )
    .option('--tombstone', 'drop later events of the user even if nothing is known about the user')
    .option('--json', 'print the receipt as one line of JSON')
    .action(forget);
  return withDeployment(command, 'bucket', 'table', 'deadLetterQueueUrl');
}

async function forget(user: string, options: ForgetCommandOptions): Promise<void> {
  await onDeployment(options, async (deployment) => {
    const receipt = await forgetUser(user, deployment, {
      settle: () => delay(options.settle * 1000),
      now: Date.now,
      tombstone: options.tombstone === true,
    });
    if (options.json) return printJson(receipt);
    printLine(`forgotten: user key ${receipt.userKey}`);
    for (const [what, count] of Object.entries(receipt.removed)) {
      printLine(`  ${String(count).padStart(6)} ${LABELS[what as keyof typeof LABELS]} removed`);
    }
    printLine('  checked: only a tombstone is left, which expires');
    printLine('  logs of the functions may name the user key until they expire (logRetentionDays)');
    printLine(`  events of this user are dropped until ${receipt.eventsAreDroppedUntil}`);
  });
}

const LABELS = {
  adapterVersions: 'versions of the adapter',
  episodes: 'episodes',
  pendingEpisodes: 'versions of pending episodes',
  quarantined: 'versions of quarantined messages',
  deadLetters: 'dead letters',
} as const;

function seconds(text: string): number {
  if (/^\d{1,4}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number of seconds.');
}
