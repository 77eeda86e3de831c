import { createHash } from 'node:crypto';
import type { LearnedReward } from '../lora/prequential.ts';

/**
 * An interaction with an id, as it was learned. A later event with the same id corrects its reward.
 */
export interface RecentInteraction extends LearnedReward {
  readonly key: bigint;
  /** Time of the event that the reward comes from, epoch milliseconds. */
  readonly at: number;
  /** What the reward tells about the item, not bounded; null where the user had no vote. */
  readonly residual: number | null;
}

/** Enough for feedback that comes some hours or days late; 88 bytes each, 22.5 KB. */
export const RECENT_INTERACTIONS_KEPT = 256;

/** An id names an interaction with an item; another item with it is another interaction. */
export function interactionKey(interactionId: string, itemId: string | undefined): bigint {
  const name = JSON.stringify([interactionId, itemId ?? null]);
  return createHash('sha256').update(name, 'utf8').digest().readBigUInt64BE();
}

/** Those learned last of `recent` followed by `added`. */
export function addRecentInteractions(
  recent: readonly RecentInteraction[],
  added: readonly RecentInteraction[],
): readonly RecentInteraction[] {
  return added.length === 0 ? recent : [...recent, ...added].slice(-RECENT_INTERACTIONS_KEPT);
}

/**
 * Whether a reward replaces the one that is known: the one that occurred last counts, of two at the
 * same time the larger. So the order in which events arrive makes no difference.
 */
export function supersedes(
  { at, reward }: { readonly at: number; readonly reward: number },
  known: RecentInteraction,
): boolean {
  return at > known.at || (at === known.at && reward > known.reward);
}
