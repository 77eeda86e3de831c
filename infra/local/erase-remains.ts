import type { DatabaseSync } from 'node:sqlite';

/** Databases with this user version have overwritten deleted rows from the start. */
const ERASED = 1;

/**
 * Removes bytes of deleted rows that `secure_delete` has not overwritten from the files of a
 * database: those in the write-ahead log and, once, those deleted before the setting.
 */
export function eraseRemains(database: DatabaseSync): void {
  const version = database.prepare('PRAGMA user_version').get()?.user_version;
  if (version !== ERASED) {
    database.exec('VACUUM');
    database.exec(`PRAGMA user_version = ${ERASED}`);
  }
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
}
