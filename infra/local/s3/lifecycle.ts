import type { Bucket } from './bucket.ts';
import type { ObjectTable } from './object-table.ts';

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
    for (const { prefix, days } of bucket.expirations) {
      for (const object of table.latestBefore(bucket, prefix, cutoff(days))) {
        if (bucket.versioned) table.putDeleteMarker(bucket, object.key, now);
        else table.remove(bucket, object);
      }
    }
    for (const { prefix, days, keepNewest = 0 } of bucket.noncurrentExpirations) {
      for (const version of table.replacedBefore(bucket, prefix, cutoff(days), keepNewest)) {
        table.remove(bucket, version);
      }
    }
  });
}
