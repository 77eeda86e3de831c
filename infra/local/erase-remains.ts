import type { DatabaseSync } from 'node:sqlite';

/** Databases of this user version have overwritten all that was deleted since their first row. */
const ERASED = 1;

/**
 * Removes bytes of deleted rows from the files of a database that `secure_delete` has not overwritten:
 * those in the write-ahead log and, once, those that were deleted before the setting.
 */
export function eraseRemains(database: DatabaseSync): void {
  const version = database.prepare('PRAGMA user_version').get()?.user_version;
  if (version !== ERASED) {
    database.exec('VACUUM');
    database.exec(`PRAGMA user_version = ${ERASED}`);
  }
  database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
}
