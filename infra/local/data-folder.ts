import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { InvalidConfigurationError } from '../../shared/errors.ts';

const SQLITE_BUSY = 5;

/** A data folder that this process has locked. */
export interface DataFolder {
  /** The subfolder of a service. */
  pathOf(service: string): string;
  release(): void;
}

/**
 * Locks a data folder, so that two stacks never write to the same files.
 *
 * The lock is a transaction on a SQLite file. The operating system releases it when the process
 * ends, even after a kill. A process id in a file could not do that: a later process may have the
 * same id. The file `pid` only serves the error message.
 *
 * @throws InvalidConfigurationError when another stack has locked the folder, or when it is not
 *   writable
 */
export function lockDataFolder(path: string): DataFolder {
  const lock = openLock(path);
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    const fault = isBusy(error)
      ? `found it locked by another local stack (process ${holderOf(path)}), expected a free folder`
      : `found the unusable lock file ${join(path, 'lock')} (${reasonOf(error)}), expected the lock file of a local stack`;
    throw new InvalidConfigurationError(`data folder ${path}: ${fault}`, { cause: error });
  }
  writeFileSync(join(path, 'pid'), `${process.pid}\n`);
  return {
    pathOf: (service) => join(path, service),
    release: () => lock.close(),
  };
}

function openLock(path: string): DatabaseSync {
  try {
    mkdirSync(path, { recursive: true });
    writeFileSync(join(path, 'lock'), '', { flag: 'a' });
    return new DatabaseSync(join(path, 'lock'));
  } catch (error) {
    throw new InvalidConfigurationError(
      `data folder ${path}: found it not writable (${reasonOf(error)}), expected a writable folder`,
      { cause: error },
    );
  }
}

/**
 * The low byte of SQLite's result code is the primary code: https://www.sqlite.org/rescode.html.
 */
function isBusy(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === SQLITE_BUSY;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function holderOf(path: string): string {
  try {
    return readFileSync(join(path, 'pid'), 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
