import type { Bucket } from './bucket.ts';
import type { ObjectTable } from './object-table.ts';
import { type ObjectVersion, TAGGING } from './object-version.ts';

const DAY_MS = 86_400_000;

/**
 * Days since the epoch, in UTC. S3 applies lifecycle rules at midnight UTC, so once per day is
 * enough.
 */
export const utcDay = (now: number) => Math.floor(now / DAY_MS);

/**
 * Applies a bucket's expiration rules. S3 counts `days` from the write (for noncurrent versions,
 * from their replacement) and rounds up to the next midnight UTC. The expiration of the latest
 * version in a versioned bucket creates a delete marker (Amazon S3 User Guide, "Lifecycle
 * configuration elements").
 *
 * @param now milliseconds since the epoch
 */
export function applyExpirations(table: ObjectTable, bucket: Bucket, now: number): void {
  const cutoff = (days: number) => (utcDay(now) - days) * DAY_MS;
  table.transaction(() => {
    for (const { prefix, days, tag } of bucket.expirations) {
      for (const object of table.latestBefore(bucket, prefix, cutoff(days)).filter(hasTag(tag))) {
        if (bucket.versioned) table.putDeleteMarker(bucket, object.key, now);
        else table.remove(bucket, object);
      }
    }
    for (const { prefix, days, tag, keepNewest = 0 } of bucket.noncurrentExpirations) {
      const replaced = table.replacedBefore(bucket, prefix, cutoff(days), keepNewest);
      for (const version of replaced.filter(hasTag(tag))) {
        table.remove(bucket, version);
      }
    }
  });
}

function hasTag(tag: string | undefined) {
  return ({ headers }: ObjectVersion) => tag === undefined || headers[TAGGING] === tag;
}
