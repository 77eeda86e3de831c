import { createHash } from 'node:crypto';
import type { Episode } from './episode.ts';

/** Partitions of an index that one cell's episodes are spread over: DynamoDB writes about 1,000 items per second to each. */
export const SHARDS = 16;

/** The shard of a cell that holds a user's episodes. */
export function shardOf(userKey: string): number {
  return Number.parseInt(userKey.slice(0, 4), 16) % SHARDS;
}

/** Partition of an index. */
export function shardKey(cell: string, shard: number): string {
  return `${cell}#${shard}`;
}

/** Sort key of the indexes: time of storing, then what makes it unique. */
export function storedAtKey(milliseconds: number, suffix = ''): string {
  return `${String(Math.floor(milliseconds)).padStart(13, '0')}#${suffix}`;
}

/**
 * Where an episode stands in its shard. Consolidation keeps positions in objects that outlive users, so what makes one unique is a hash
 * of user and version, which names neither.
 * @param storedAt epoch milliseconds
 */
export function positionOf(episode: Episode, storedAt: number): string {
  const hash = createHash('sha256')
    .update(`${episode.userKey}#${identityOf(episode)}`)
    .digest('hex');
  return storedAtKey(storedAt, hash.slice(0, 16));
}

/** What tells a user's episodes apart: the version, or the id of a report that names no version. */
export function identityOf({ version, report }: Episode): string {
  return version > 0 || report === undefined ? String(version) : `0#${report.id}`;
}

/** Whether an episode belongs to the index of newcomers: it is its user's first. */
export function isNewcomer({ version }: Episode): boolean {
  return version === 1;
}

/** When an episode leaves the bank, in epoch seconds. */
export function expiryOf(storedAt: number, ttlDays: number): number {
  return Math.floor(storedAt / 1000) + ttlDays * 86_400;
}
