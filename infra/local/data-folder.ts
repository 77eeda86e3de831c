import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { InvalidConfigurationError } from '../../shared/errors.ts';

const SQLITE_BUSY = 5;

/** A data folder that this process has for itself. */
export interface DataFolder {
  /** The folder of one service in it. */
  of(service: string): string;
  release(): void;
}

/**
 * Takes a data folder, so that two stacks never write to the same files.
 *
 * The lock is a transaction on a SQLite file: the operating system drops it with the process, however that ends,
 * and no later process of the same id can be mistaken for the holder. `pid` beside it is for the message.
 *
 * @throws InvalidConfigurationError when another stack has it, or when it cannot be written
 */
export function takeDataFolder(path: string): DataFolder {
  const lock = openLock(path);
  try {
    lock.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    lock.close();
    const fault = isBusy(error)
      ? `found it in use by another local stack (process ${holderOf(path)}), expected a free one`
      : `found that ${join(path, 'lock')} cannot be locked (${reasonOf(error)}), expected the file of a local stack`;
    throw new InvalidConfigurationError(`data folder ${path}: ${fault}`, { cause: error });
  }
  writeFileSync(join(path, 'pid'), `${process.pid}\n`);
  return {
    of: (service) => join(path, service),
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
      `data folder ${path}: found it not writable (${reasonOf(error)}), expected a folder to write to`,
      { cause: error },
    );
  }
}

/** Of SQLite's result code the low byte is the primary one: https://www.sqlite.org/rescode.html. */
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
