import { createHash } from 'node:crypto';

/**
 * The ids of the events applied last, as 64-bit hashes, oldest first. An event found here is a
 * duplicate. Two ids of one user collide with probability below 1e-16 per event.
 */
export const RECENT_EVENTS_KEPT = 2_048;

export function eventKey(eventId: string): bigint {
  return createHash('sha256').update(eventId, 'utf8').digest().readBigUInt64BE();
}

/** The newest {@link RECENT_EVENTS_KEPT} of `recent` followed by `added`. */
export function addRecentEvents(recent: BigUint64Array, added: readonly bigint[]): BigUint64Array {
  const kept = recent.subarray(Math.max(0, recent.length + added.length - RECENT_EVENTS_KEPT));
  const next = new BigUint64Array(Math.min(RECENT_EVENTS_KEPT, kept.length + added.length));
  const tail = added.slice(-RECENT_EVENTS_KEPT);
  next.set(kept.subarray(0, next.length - tail.length));
  next.set(BigUint64Array.from(tail), next.length - tail.length);
  return next;
}
