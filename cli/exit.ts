import { CommanderError } from 'commander';
import { AttuneError, type ErrorCode } from '../shared/errors.ts';
import { printProblem } from './output.ts';

/** Exit codes: done, something failed, the user is to change something, Ctrl-C. */
export const EXIT = { ok: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** What the person who typed the command can put right. */
const USER_ERRORS: readonly ErrorCode[] = ['invalid-input', 'invalid-configuration', 'not-found'];

/** A command that did its work only in part and has already said so. */
export class ExitError extends Error {
  override readonly name = 'ExitError';
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}

/** Says in one line what went wrong, unless it was said; with ATTUNE_DEBUG=1 also where. Returns the exit code. */
export function exitCodeOf(error: unknown, env: NodeJS.ProcessEnv = process.env): number {
  if (error instanceof ExitError) return error.exitCode;
  // Commander has written its message, or the help that was asked for.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  if (env.ATTUNE_DEBUG === '1' && error instanceof Error) printProblem(error.stack ?? error.message);
  else printProblem(oneLine(textOf(error)));
  return error instanceof AttuneError && USER_ERRORS.includes(error.code) ? EXIT.usage : EXIT.failed;
}

function textOf(error: unknown): string {
  const refused = refusedAddress(error);
  if (refused !== undefined)
    return `nothing listens at ${refused}: start the local stack (npm start -- --keep), or unset the AWS_ENDPOINT_URL variables`;
  return error instanceof Error ? error.message || error.name : String(error);
}

/** The address where a connection was refused, if that is what an error, its cause or its parts say. */
function refusedAddress(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, address, port } = error as { code?: string; address?: string; port?: number };
  if (code === 'ECONNREFUSED' && address !== undefined) return `${address}:${port}`;
  const parts = error instanceof AggregateError ? error.errors : [];
  return [error.cause, ...parts].map(refusedAddress).find((found) => found !== undefined);
}

export function oneLine(text: string): string {
  return text.trim().replace(/\s*[\r\n]+\s*/g, ' ');
}

/** What writing fails with once the reader of a pipe, or the terminal, is gone. */
const READER_GONE = ['EPIPE', 'EIO', 'ERR_STREAM_DESTROYED'];

/** Lets a command finish, and clear up, although nobody reads any more what it prints. */
export function outliveReaders(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (!READER_GONE.includes(error.code ?? '')) throw error;
    });
  }
}

/** Aborts at the first Ctrl-C, SIGTERM or hang-up, so that a command can end in order; a second one ends the process at once. */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(name, () => controller.abort());
  return controller.signal;
}
