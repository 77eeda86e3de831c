import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Keeps the commands' files out of the folders of the person who runs the tests. */
const STATE = mkdtempSync(join(tmpdir(), 'attune-state-'));
process.once('exit', () => rmSync(STATE, { recursive: true, force: true }));

const ATTUNE = fileURLToPath(new URL('../../cli/attune.ts', import.meta.url));

/** A test that fails or times out leaves no process behind. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command line like a user. `started` gets the process, to send it signals or input. */
export function runAttune(
  args: readonly string[],
  { env = {}, input = '', started, attune = ATTUNE }: RunOptions = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [attune, ...args], {
    env: { ...process.env, XDG_STATE_HOME: STATE, ...env },
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    stderr += text;
  });
  if (started === undefined) child.stdin.end(input);
  else started(child);
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

interface RunOptions {
  /** The command's file; default: the one of this repository. */
  readonly attune?: string;
  readonly env?: Record<string, string>;
  readonly input?: string;
  readonly started?: (child: ChildProcessWithoutNullStreams) => unknown;
}
