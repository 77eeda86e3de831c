import { DatabaseSync, type StatementSync } from 'node:sqlite';
import { InvalidConfigurationError } from '../../../shared/errors.ts';
import { eraseRemains } from '../erase-remains.ts';
import type { Bucket, BucketSettings } from './bucket.ts';
import { endOfPrefix, type NewObject, type ObjectVersion, seqOf, toVersion } from './object-version.ts';

// Bytes have a separate table, because clearing the flag `latest` rewrites the row of a version.
// Keys are blobs: SQLite compares them bytewise, as S3 does, and they can contain any character.
const SCHEMA = `
  CREATE TABLE IF NOT EXISTS bucket (name TEXT PRIMARY KEY, settings TEXT NOT NULL) STRICT;
  CREATE TABLE IF NOT EXISTS object (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket TEXT NOT NULL REFERENCES bucket (name),
    key BLOB NOT NULL,
    unversioned INTEGER NOT NULL,
    latest INTEGER NOT NULL,
    deleteMarker INTEGER NOT NULL,
    etag TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    headers TEXT NOT NULL,
    checksum TEXT
  ) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS latest ON object (bucket, key) WHERE latest = 1;
  CREATE INDEX IF NOT EXISTS versions ON object (bucket, key, seq);
  CREATE TABLE IF NOT EXISTS body (
    seq INTEGER PRIMARY KEY REFERENCES object (seq) ON DELETE CASCADE,
    bytes BLOB NOT NULL
  ) STRICT;`;

// Deleted rows are overwritten, so that a forgotten user leaves no bytes in the file
// (secure_delete). One process owns the file (EXCLUSIVE). The operating system has a commit before
// it is acknowledged (WAL, NORMAL), so every acknowledged commit survives a kill of the process. A
// power failure can lose the last commits.
const DURABLE = `
  PRAGMA locking_mode = EXCLUSIVE;
  PRAGMA journal_mode = WAL;
  PRAGMA synchronous = NORMAL;
  PRAGMA secure_delete = ON;`;

// An unnamed database is in memory, with a temporary file that SQLite deletes when the process
// ends.
const TEMPORARY = `
  PRAGMA journal_mode = MEMORY;
  PRAGMA synchronous = OFF;
  PRAGMA cache_size = -65536;`;

/**
 * Stores buckets, object versions and their bytes in SQLite. Every method is synchronous and
 * commits before it returns, so a caller can check a condition and then write in the same turn of
 * the event loop without a race.
 */
export class ObjectTable {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #buckets = new Map<string, Bucket>();

  /**
   * @param file path of the database file; `undefined` for a temporary database
   * @throws InvalidConfigurationError when the file is not a writable database or another process
   *   has it open
   */
  constructor(file: string | undefined) {
    try {
      this.#database = new DatabaseSync(file ?? '');
      this.#database.exec(file === undefined ? TEMPORARY : DURABLE);
      this.#database.exec(SCHEMA);
      if (file !== undefined) eraseRemains(this.#database);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new InvalidConfigurationError(
        `${file}: found ${reason}, expected a writable file that no other process has open`,
        { cause },
      );
    }
    for (const row of this.#statement('SELECT name, settings FROM bucket').iterate()) {
      const name = String(row.name);
      this.#buckets.set(name, { name, ...JSON.parse(String(row.settings)) });
    }
  }

  bucket(name: string): Bucket | undefined {
    return this.#buckets.get(name);
  }

  /** Creates a bucket, or changes the settings of an existing one and keeps its objects. */
  saveBucket(name: string, settings: BucketSettings): Bucket {
    const { versioned, expirations = [], noncurrentExpirations = [] } = settings;
    const saved = { versioned, expirations, noncurrentExpirations };
    this.#statement('INSERT INTO bucket VALUES (?1, ?2) ON CONFLICT DO UPDATE SET settings = ?2').run(
      name,
      JSON.stringify(saved),
    );
    const bucket = { name, ...saved };
    this.#buckets.set(name, bucket);
    return bucket;
  }

  /** The newest version of a key, possibly a delete marker. */
  latest(bucket: Bucket, key: string): ObjectVersion | undefined {
    return this.#one('bucket = ? AND key = ? AND latest = 1', bucket.name, Buffer.from(key));
  }

  version(bucket: Bucket, key: string, versionId: string): ObjectVersion | undefined {
    return versionId === 'null'
      ? this.#one('bucket = ? AND key = ? AND unversioned = 1', bucket.name, Buffer.from(key))
      : this.#one(
          'bucket = ? AND key = ? AND unversioned = 0 AND seq = ?',
          bucket.name,
          Buffer.from(key),
          seqOf(versionId),
        );
  }

  bytes(version: ObjectVersion): Uint8Array {
    const row = this.#statement('SELECT bytes FROM body WHERE seq = ?').get(version.seq);
    if (!(row?.bytes instanceof Uint8Array))
      throw new Error(`object ${version.key}: found no bytes, expected a row in the table body`);
    return row.bytes;
  }

  /**
   * The latest version, without delete markers, of the first key in [from, to), ordered by UTF-8
   * bytes.
   */
  firstBetween(bucket: Bucket, from: Uint8Array, to: Uint8Array): ObjectVersion | undefined {
    return this.#one(
      'bucket = ? AND key >= ? AND key < ? AND latest = 1 AND deleteMarker = 0 ORDER BY key',
      bucket.name,
      from,
      to,
    );
  }

  /**
   * Versions and delete markers after the given position, ordered by key and then from new to old.
   */
  versionsBetween(
    bucket: Bucket,
    from: { readonly key: Uint8Array; readonly beforeSeq: number },
    to: Uint8Array,
    limit: number,
  ): ObjectVersion[] {
    return this.#statement(
      `SELECT * FROM object WHERE bucket = ?1 AND key >= ?2 AND key < ?3 AND (key > ?2 OR seq < ?4)
       ORDER BY key, seq DESC LIMIT ?5`,
    )
      .all(bucket.name, from.key, to, from.beforeSeq, limit)
      .map(toVersion);
  }

  /**
   * Writes an object as the latest version. In an unversioned bucket it replaces the previous
   * object.
   */
  put(bucket: Bucket, key: string, object: NewObject, now: number): ObjectVersion {
    return this.#insert(bucket, key, object, now);
  }

  /** Writes a delete marker as the latest version. */
  putDeleteMarker(bucket: Bucket, key: string, now: number): ObjectVersion {
    return this.#insert(bucket, key, undefined, now);
  }

  /** Deletes a version and its bytes. The newest remaining version becomes the latest. */
  remove(bucket: Bucket, version: ObjectVersion): void {
    this.transaction(() => {
      this.#statement('DELETE FROM object WHERE seq = ?').run(version.seq);
      if (!version.latest) return;
      this.#statement(
        `UPDATE object SET latest = 1
         WHERE seq = (SELECT max(seq) FROM object WHERE bucket = ? AND key = ?)`,
      ).run(bucket.name, Buffer.from(version.key));
    });
  }

  /** Latest objects under a prefix with a write before `time` (milliseconds since the epoch). */
  latestBefore(bucket: Bucket, prefix: string, time: number): ObjectVersion[] {
    return this.#statement(
      `SELECT * FROM object WHERE bucket = ? AND key >= ? AND key < ?
       AND latest = 1 AND deleteMarker = 0 AND modified < ?`,
    )
      .all(bucket.name, Buffer.from(prefix), endOfPrefix(prefix), time)
      .map(toVersion);
  }

  /**
   * Versions with a replacement before `time`, except the `keepNewest` newest noncurrent versions
   * of each key.
   */
  replacedBefore(bucket: Bucket, prefix: string, time: number, keepNewest: number): ObjectVersion[] {
    return this.#statement(
      `SELECT * FROM (
         SELECT *, lag(modified) OVER byAge AS replaced, row_number() OVER byAge - 1 AS age
         FROM object WHERE bucket = ? AND key >= ? AND key < ?
         WINDOW byAge AS (PARTITION BY key ORDER BY seq DESC))
       WHERE latest = 0 AND replaced < ? AND age > ?`,
    )
      .all(bucket.name, Buffer.from(prefix), endOfPrefix(prefix), time, keepNewest)
      .map(toVersion);
  }

  /** Runs `work` as one transaction and rolls it back when `work` throws. Can be nested. */
  transaction<T>(work: () => T): T {
    if (this.#database.isTransaction) return work();
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      // After some errors, such as a full disk, SQLite has already rolled back.
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  close(): void {
    this.#database.close();
  }

  #insert(bucket: Bucket, key: string, object: NewObject | undefined, now: number): ObjectVersion {
    const keyBytes = Buffer.from(key);
    return this.transaction(() => {
      const old = bucket.versioned ? undefined : this.version(bucket, key, 'null');
      if (old !== undefined) this.remove(bucket, old);
      this.#statement('UPDATE object SET latest = 0 WHERE bucket = ? AND key = ? AND latest = 1').run(
        bucket.name,
        keyBytes,
      );
      const row = this.#statement(
        `INSERT INTO object (bucket, key, unversioned, latest, deleteMarker, etag, size, modified, headers, checksum)
         VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?) RETURNING *`,
      ).get(
        bucket.name,
        keyBytes,
        bucket.versioned ? 0 : 1,
        object === undefined ? 1 : 0,
        object?.etag ?? '',
        object?.bytes.length ?? 0,
        now,
        JSON.stringify(object?.headers ?? {}),
        object?.checksum === undefined ? null : JSON.stringify(object.checksum),
      );
      if (row === undefined) throw new Error('INSERT … RETURNING returned nothing');
      const version = toVersion(row);
      if (object !== undefined) {
        this.#statement('INSERT INTO body VALUES (?, ?)').run(version.seq, object.bytes);
      }
      return version;
    });
  }

  #one(where: string, ...values: (string | number | Uint8Array)[]): ObjectVersion | undefined {
    const row = this.#statement(`SELECT * FROM object WHERE ${where} LIMIT 1`).get(...values);
    return row === undefined ? undefined : toVersion(row);
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}
