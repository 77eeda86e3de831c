import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { InvalidConfigurationError } from '../../shared/errors.ts';

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
    throw new InvalidConfigurationError(
      `data folder ${path}: found it in use by another local stack (process ${holderOf(path)}), expected a free one`,
      { cause: error },
    );
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
    const reason = error instanceof Error ? error.message : String(error);
    throw new InvalidConfigurationError(
      `data folder ${path}: found it not writable (${reason}), expected a folder to write to`,
      { cause: error },
    );
  }
}

function holderOf(path: string): string {
  try {
    return readFileSync(join(path, 'pid'), 'utf8').trim();
  } catch {
    return 'unknown';
  }
}
