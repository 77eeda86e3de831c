import type { SQLOutputValue } from 'node:sqlite';
import type { Checksum } from './checksums.ts';

/** The header with which a PUT sets tags. It is stored among the headers and never returned. */
export const TAGGING = 'x-amz-tagging';

/** One version of an object, or a delete marker, without its bytes. */
export interface ObjectVersion {
  /** Sequence number of the write, increasing over the whole server. */
  readonly seq: number;
  readonly key: string;
  /** The string `null` for objects from the time before the bucket was versioned. */
  readonly versionId: string;
  readonly latest: boolean;
  readonly deleteMarker: boolean;
  /** MD5 in hex, with quotes. */
  readonly etag: string;
  /** Bytes. */
  readonly size: number;
  /** Milliseconds since the epoch. */
  readonly modified: number;
  /** Header fields to return, such as content type and user metadata. */
  readonly headers: Readonly<Record<string, string>>;
  readonly checksum: Checksum | undefined;
}

export interface NewObject {
  readonly bytes: Uint8Array;
  readonly etag: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly checksum: Checksum | undefined;
}

/** The first byte string after all keys with this prefix, because 0xFF never occurs in UTF-8. */
export function endOfPrefix(prefix: string): Uint8Array {
  return Buffer.concat([Buffer.from(prefix), Uint8Array.of(0xff)]);
}

/** The sequence number of a version; 0 for `null`, which is always the oldest version of a key. */
export function seqOf(versionId: string): number {
  return versionId === 'null' ? 0 : Number.parseInt(versionId, 16);
}

/** Converts a row of the table `object`. */
export function toVersion(row: Record<string, SQLOutputValue>): ObjectVersion {
  const seq = Number(row.seq);
  if (!(row.key instanceof Uint8Array)) throw new Error(`object ${seq}: found no key, expected bytes`);
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
