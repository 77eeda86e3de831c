import { readFileSync } from 'node:fs';
import { CommanderError } from 'commander';
import { AttuneError, type ErrorCode, InvalidInputError } from '../shared/errors.ts';
import { utf8 } from '../shared/utf8.ts';
import { printProblem } from './output.ts';

/** Exit codes: success, failure, wrong use, Ctrl-C. */
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Errors that the user of the command can fix. */
const USER_ERRORS: readonly ErrorCode[] = ['invalid-input', 'invalid-configuration', 'not-found'];

/** Ends a command that did only part of its work and has already reported that. */
export class ExitError extends Error {
  override readonly name = 'ExitError';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/**
 * Prints the error in one line, unless it was printed already; with ATTUNE_DEBUG=1 also its stack.
 * @returns the exit code
 */
export function exitCodeOf(error: unknown, env: NodeJS.ProcessEnv = process.env): number {
  if (error instanceof ExitError) return error.exitCode;
  // Commander has printed its message, or the requested help.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (env.ATTUNE_DEBUG === '1' && error instanceof Error) printProblem(error.stack ?? error.message);
  else printProblem(oneLine(told(error, env)));
  const userCanMend = error instanceof AttuneError && USER_ERRORS.includes(error.code);
  return userCanMend || NO_CREDENTIALS.test(wordsOf(error)) ? EXIT.usage : EXIT.failed;
}

const NO_CREDENTIALS = /CredentialsProviderError/;
const REFUSED = /ECONNREFUSED (\S+:\d+)/;

/**
 * The message of an error, with advice when a known cause has one.
 * @param error an error, or its text
 */
export function told(error: unknown, env: NodeJS.ProcessEnv = process.env): string {
  const words = wordsOf(error);
  if (NO_CREDENTIALS.test(words)) {
    return env.AWS_PROFILE
      ? `found no credentials for AWS_PROFILE=${env.AWS_PROFILE}, which overrides AWS_ACCESS_KEY_ID: unset AWS_PROFILE, or log in`
      : 'found no AWS credentials: log in, or set the variables that npx attune local prints';
  }
  const address = REFUSED.exec(words)?.[1];
  if (address !== undefined)
    return `nothing listens at ${address}: start the local stack (npx attune local --keep, or --empty, with the same --data and --port), or unset the AWS_ENDPOINT_URL variables`;
  return error instanceof Error ? error.message || error.name : String(error);
}

/** The texts of an error, its causes and its parts. */
function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const parts: readonly unknown[] = error instanceof AggregateError ? error.errors : [];
  const further = error.cause === undefined ? parts : [error.cause, ...parts];
  return [`${error.name}: ${error.message}`, ...further.map(wordsOf)].join('\n');
}

export function oneLine(text: string): string {
  return text.trim().replace(/\s*[\r\n]+\s*/g, ' ');
}

/** Errors of writing after the reader of a pipe, or the terminal, is gone. */
const READER_GONE = ['EPIPE', 'EIO', 'ERR_STREAM_DESTROYED'];

/**
 * Lets a command finish and clean up when nobody reads its output any more, or the disk is full.
 */
export function outliveReaders(): void {
  for (const [name, stream] of [
    ['stdout', process.stdout],
    ['stderr', process.stderr],
  ] as const) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (READER_GONE.includes(error.code ?? '')) return;
      process.exitCode ||= EXIT.failed;
      if (name === 'stdout') printProblem(`${name} cannot be written: ${error.message}`);
    });
  }
}

/**
 * Node replaces arguments that are not UTF-8, so that two user ids become equal.
 * @throws InvalidInputError when the system provides the bytes (Linux)
 */
export function checkArguments(argv: readonly string[] = process.argv): void {
  if (!argv.some((word) => word.includes('\ufffd'))) return;
  let bytes: Uint8Array;
  try {
    bytes = readFileSync('/proc/self/cmdline');
  } catch {
    return;
  }
  if (utf8(bytes) === undefined)
    throw new InvalidInputError('arguments', 'bytes that are not UTF-8', 'a terminal that writes UTF-8');
}

/**
 * Aborts at the first Ctrl-C, SIGTERM or hang-up, so that a command can end in order. A second one
 * ends the process at once.
 */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => controller.abort());
  return controller.signal;
}
