import { createHash } from 'node:crypto';
import type { Episode } from './episode.ts';

/** Partitions of an index per cell. DynamoDB writes about 1,000 items per second to each. */
export const SHARDS = 16;

/** The shard of a cell with a user's episodes. */
export function shardOf(userKey: string): number {
  return Number.parseInt(userKey.slice(0, 4), 16) % SHARDS;
}

/** Partition of an index. */
export function shardKey(cell: string, shard: number): string {
  return `${cell}#${shard}`;
}

/** Sort key of the indexes: time of storing, then a unique part. */
export function storedAtKey(milliseconds: number, suffix = ''): string {
  return `${String(Math.floor(milliseconds)).padStart(13, '0')}#${suffix}`;
}

/**
 * A clock for positions that advances by a millisecond per call while the given clock is behind.
 * Consolidation would never read a position before a watermark; a position ahead of time only
 * waits.
 * @param now epoch milliseconds
 */
export function neverBack(now: () => number): () => number {
  let latest = Number.NEGATIVE_INFINITY;
  return () => {
    const time = now();
    latest = time < latest ? latest + 1 : time;
    return latest;
  };
}

/**
 * The time of an episode's position: now, unless that is not after the watermark of its shard.
 * @param now epoch milliseconds
 */
export function timeOfPosition(
  { userKey }: Episode,
  now: number,
  watermarks: readonly string[] = [],
): number {
  const read = Number.parseInt(watermarks[shardOf(userKey)] || '0', 10);
  return Math.max(now, read + 1);
}

/**
 * The position of an episode in its shard. Consolidation keeps positions in objects that outlive
 * users, so the unique part is a hash of user and version, which identifies neither.
 * @param storedAt epoch milliseconds
 */
export function positionOf(episode: Episode, storedAt: number): string {
  const hash = createHash('sha256')
    .update(`${episode.userKey}#${identityOf(episode)}`)
    .digest('hex');
  return storedAtKey(storedAt, hash.slice(0, 16));
}

/** Identifies an episode of a user: the version, or the id of a report without a version. */
export function identityOf({ version, report }: Episode): string {
  return version > 0 || report === undefined ? String(version) : `0#${report.id}`;
}

/** Whether an episode is the first of its user, and so in the index of new users. */
export function isNewcomer({ version }: Episode): boolean {
  return version === 1;
}

/** Time when an episode expires, in epoch seconds. */
export function expiryOf(storedAt: number, ttlDays: number): number {
  return Math.floor(storedAt / 1000) + ttlDays * 86_400;
}
