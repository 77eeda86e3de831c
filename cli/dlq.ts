import { Command, Option } from 'commander';
import type { Deployment } from '../shared/client/deployment.ts';
import { userKey } from '../shared/config/user-key.ts';
import { InvalidConfigurationError, NotFoundError } from '../shared/errors.ts';
import type { DeadLetter } from '../shared/feedback/dead-letters.ts';
import type { QuarantinedMessage } from '../shared/feedback/quarantine.ts';
import { drainDeadLetters, sendAgain } from '../shared/feedback/redrive.ts';
import { type DeploymentOptions, onDeployment, withDeployment } from './deployment.ts';
import { EXIT, ExitError, oneLine, told } from './exit.ts';
import { printJson, printLine, printProblem } from './output.ts';

/** Sources of messages without effect; by default commands read both. */
type Source = 'dead-letters' | 'quarantine';
/** Failed consolidation runs, which are not messages of a user. */
const FAILED_RUNS = 'consolidation';

interface SelectionOptions extends DeploymentOptions {
  readonly from?: Source | typeof FAILED_RUNS;
  readonly user?: string;
  readonly code?: string;
  readonly all?: boolean;
  readonly json?: boolean;
}

/** `attune dlq`: lists messages that had no effect, sends them again, or deletes them. */
export function dlqCommand(command: Command): Command {
  const list = selecting(new Command('list'), 'list messages that had no effect', FAILED_RUNS).action(
    listMessages,
  );
  const show = withDeployment(
    new Command('show')
      .description('print one message in full')
      .argument('<message id>', 'see attune dlq list')
      .option('--json', 'print one line of JSON (the default)')
      .action(showMessage),
    'bucket',
    'deadLetterQueueUrl',
  );
  const redrive = selecting(
    new Command('redrive'),
    "send messages to the feedback queue again, every user's in order; doing so twice is safe",
  )
    .option('--queue-url <url>', 'the feedback queue')
    .action((options: SelectionOptions) => act(options, 'redriven'));
  const purge = selecting(new Command('purge'), 'remove messages for good', FAILED_RUNS).action(
    (options: SelectionOptions) => act(options, 'purged'),
  );
  for (const sub of [redrive, purge]) sub.option('--all', 'all messages of --from, of every user');
  for (const sub of [list, show, redrive, purge]) command.addCommand(sub);
  return command;
}

function selecting(command: Command, description: string, ...more: (typeof FAILED_RUNS)[]): Command {
  const sources = ['dead-letters', 'quarantine', ...more];
  command
    .description(description)
    .addOption(
      new Option('--from <source>', 'only these; default: dead-letters and quarantine').choices(sources),
    )
    .option('--user <id>', 'only messages of this user')
    .option('--code <code>', 'only messages in quarantine with this code')
    .option('--json', 'print the result as one line of JSON');
  const failures = more.length > 0 ? (['consolidationFailuresUrl'] as const) : [];
  return withDeployment(command, 'bucket', 'deadLetterQueueUrl', ...failures);
}

async function listMessages(options: SelectionOptions): Promise<void> {
  if (options.from === FAILED_RUNS) return listFailedRuns(options);
  await onDeployment(options, async (deployment) => {
    const letters = await lookAt(deployment, options);
    const quarantined = await quarantinedBy(deployment, options);
    const messages = [
      ...letters.map(({ receiptHandle: _, body, ...letter }) => ({
        from: 'dead-letters',
        ...letter,
        bytes: sizeOf(body),
      })),
      ...quarantined.map(({ message: { body, ...message } }) => ({
        from: 'quarantine',
        ...message,
        bytes: sizeOf(body),
      })),
    ];
    if (options.json) return printJson(messages);
    for (const message of messages) {
      const why = 'reason' in message ? `${message.code}: ${message.reason}` : 'failed too often';
      printLine(
        `${message.from.padEnd(12)}  ${message.messageId}  ${new Date(message.sentAt).toISOString()}  ${why}`,
      );
    }
    printLine(
      `${letters.length} dead letters that can be received, ${quarantined.length} messages in quarantine`,
    );
  });
}

async function showMessage(messageId: string, options: DeploymentOptions): Promise<void> {
  await onDeployment(options, async (deployment) => {
    const quarantined = (await quarantinedBy(deployment, {})).find(
      ({ message }) => message.messageId === messageId,
    );
    if (quarantined !== undefined) return printJson({ from: 'quarantine', ...quarantined.message });
    const letter = (await lookAt(deployment, {})).find((candidate) => candidate.messageId === messageId);
    if (letter === undefined) {
      throw new NotFoundError(
        `message ${messageId}: found neither in quarantine nor among the first dead letters of any user`,
      );
    }
    const { receiptHandle: _, ...shown } = letter;
    printJson({ from: 'dead-letters', ...shown });
  });
}

async function act(options: SelectionOptions, done: 'redriven' | 'purged'): Promise<void> {
  if (options.user === undefined && options.code === undefined && options.all !== true) {
    throw new InvalidConfigurationError('found none of --user, --code and --all, expected one of them');
  }
  if (options.from === FAILED_RUNS) return purgeFailedRuns(options);
  await onDeployment(options, async (deployment) => {
    const queue = done === 'redriven' ? await deployment.queue() : undefined;
    const count = { deadLetters: 0, quarantined: 0 };
    const errors: unknown[] = [];
    if (wants(options, 'dead-letters')) {
      const drained = await drainDeadLetters(
        await deployment.deadLetters(),
        ({ groupId }) => isOf(groupId, options),
        async (letter) => queue && sendAgain(letter, queue),
      );
      count.deadLetters = drained.handled;
      errors.push(...drained.errors);
    }
    const { quarantine } = await deployment.bucket();
    const damaged: string[] = [];
    const inQuarantine = await quarantinedBy(deployment, options, ({ key }) => damaged.push(key));
    // An unreadable message cannot be sent again, but it can be deleted with all others.
    if (done === 'purged' && options.all === true) for (const key of damaged) await quarantine.remove(key);
    else for (const key of damaged) printProblem(`${key}: damaged, left in place`);
    for (const { key, message } of inQuarantine) {
      // Uses the user's own group, even if a wrong group was the reason for the refusal.
      const groupId = message.userKey ?? message.messageGroupId ?? userKey(message.messageId);
      try {
        if (queue !== undefined) await sendAgain({ ...message, groupId }, queue);
        await quarantine.remove(key);
        count.quarantined += 1;
      } catch (error) {
        errors.push(error);
        break;
      }
    }
    if (options.json) printJson({ [done]: count, failed: errors.length });
    else printLine(`${done}: ${count.deadLetters} dead letters, ${count.quarantined} messages in quarantine`);
    for (const error of errors) printProblem(oneLine(told(error)));
    if (errors.length > 0) throw new ExitError(EXIT.failed);
  });
}

async function listFailedRuns(options: SelectionOptions): Promise<void> {
  const runs: { messageId: string; sentAt: number; error: string }[] = [];
  await drainFailedRuns(options, ({ messageId, sentAt, body }) => {
    runs.push({ messageId, sentAt, error: errorOfRun(body) });
    return false;
  });
  if (options.json) return printJson(runs.map((run) => ({ from: FAILED_RUNS, ...run })));
  for (const { messageId, sentAt, error } of runs)
    printLine(`${FAILED_RUNS.padEnd(13)} ${messageId}  ${new Date(sentAt).toISOString()}  ${error}`);
  printLine(`${runs.length} failed consolidations`);
}

async function purgeFailedRuns(options: SelectionOptions): Promise<void> {
  const { handled, errors } = await drainFailedRuns(options, () => true);
  if (options.json) printJson({ purged: { consolidations: handled }, failed: errors.length });
  else printLine(`purged: ${handled} failed consolidations`);
  for (const error of errors) printProblem(oneLine(told(error)));
  if (errors.length > 0) throw new ExitError(EXIT.failed);
}

/** @param isDone whether to remove a run */
async function drainFailedRuns(options: SelectionOptions, isDone: (letter: DeadLetter) => boolean) {
  if (options.user !== undefined || options.code !== undefined) {
    throw new InvalidConfigurationError(
      `found --user or --code with --from ${FAILED_RUNS}, expected neither, because a run has no user`,
    );
  }
  return onDeployment(options, async (deployment) =>
    drainDeadLetters(await deployment.deadLetters('consolidationFailuresUrl'), isDone, async () => {}),
  );
}

/**
 * The error in Lambda's record of an invocation that failed every attempt. A run that the scheduler
 * could not start has none.
 */
function errorOfRun(body: string): string {
  try {
    const { errorType, errorMessage } = JSON.parse(body).responsePayload;
    return `${errorType}: ${oneLine(String(errorMessage))}`;
  } catch {
    return 'the scheduler could not start it';
  }
}

/** The dead letters that can be received, left in place. */
async function lookAt(deployment: Deployment, options: SelectionOptions): Promise<DeadLetter[]> {
  if (!wants(options, 'dead-letters')) return [];
  const letters: DeadLetter[] = [];
  await drainDeadLetters(
    await deployment.deadLetters(),
    (letter) => {
      if (isOf(letter.groupId, options)) letters.push(letter);
      return false;
    },
    async () => {},
  );
  return letters;
}

/**
 * Messages in quarantine, in the order in which they were sent.
 * @param onDamaged called with unreadable objects; by default they are printed
 */
async function quarantinedBy(
  deployment: Deployment,
  options: SelectionOptions,
  onDamaged: (entry: { key: string; error: Error }) => void = ({ error }) => printProblem(error.message),
) {
  if (options.from === 'dead-letters') return [];
  const { quarantine } = await deployment.bucket();
  const key = options.user === undefined ? undefined : userKey(options.user);
  const found: { key: string; message: QuarantinedMessage }[] = [];
  for await (const entry of quarantine.all(key)) {
    if (entry.error !== undefined) onDamaged(entry);
    else if (options.code === undefined || entry.message.code === options.code) found.push(entry);
  }
  return found.sort((a, b) => a.message.sentAt - b.message.sentAt);
}

/** Dead letters have no code. */
function wants({ from, code }: SelectionOptions, source: Source): boolean {
  return (from === undefined || from === source) && (source === 'quarantine' || code === undefined);
}

function isOf(groupId: string, { user }: SelectionOptions): boolean {
  return user === undefined || groupId === userKey(user);
}

function sizeOf(body: string): number {
  return Buffer.byteLength(body);
}
