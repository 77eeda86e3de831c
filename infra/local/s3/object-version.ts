import type { SQLOutputValue } from 'node:sqlite';
import type { Checksum } from './checksums.ts';

/** One version of an object, or a delete marker, without its bytes. */
export interface ObjectVersion {
  /** Order of writing over the whole server; later is larger. */
  readonly seq: number;
  readonly key: string;
  /** `null`, as the word, for what was written while the bucket was not versioned. */
  readonly versionId: string;
  readonly latest: boolean;
  readonly deleteMarker: boolean;
  /** MD5 in hex, in quotes. */
  readonly etag: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly modified: number;
  /** Header fields that are given back: content type, user metadata and the like. */
  readonly headers: Readonly<Record<string, string>>;
  readonly checksum: Checksum | undefined;
}

export interface NewObject {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly checksum: Checksum | undefined;
}

/** The first byte string after every key that starts with `prefix`: 0xFF never occurs in UTF-8. */
export function endOfPrefix(prefix: string): Uint8Array {
  return Buffer.concat([Buffer.from(prefix), Uint8Array.of(0xff)]);
}

/** The place of a version in the order of writing; 0, before all, for `null`, which is always a key's oldest. */
export function seqOf(versionId: string): number {
  return versionId === 'null' ? 0 : Number.parseInt(versionId, 16);
}

/** A row of the table `object`. */
export function toVersion(row: Record<string, SQLOutputValue>): ObjectVersion {
  const seq = Number(row.seq);
  if (!(row.key instanceof Uint8Array)) throw new Error(`object ${seq}: its key is missing`);
  return {
    seq,
    key: Buffer.from(row.key).toString(),
    versionId: row.unversioned === 1 ? 'null' : seq.toString(16).padStart(32, '0'),
    latest: row.latest === 1,
    deleteMarker: row.deleteMarker === 1,
    etag: String(row.etag),
    size: Number(row.size),
    modified: Number(row.modified),
    headers: JSON.parse(String(row.headers)),
    checksum: row.checksum === null ? undefined : JSON.parse(String(row.checksum)),
  };
}
