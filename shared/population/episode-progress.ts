import type { Episode } from '../episodes/episode.ts';
import type { IndexedEpisode, IndexPosition } from '../episodes/episode-store.ts';
import { boundedChange, boundedResidual, type ItemSums, itemShrinkage } from '../lora/item-effects.ts';
import { addSittings } from '../lora/recent-picks.ts';
import type { PopulationModel } from './population-model.ts';

/**
 * Most items whose effects are kept. Beyond that, the items with the fewest rewards are dropped.
 */
const MAX_ITEMS = 500_000;

/**
 * The number of episodes at which the next fit is due: 20 more at first, and a quarter more later,
 * because a fit then changes less.
 */
export function nextDue(episodes: number): number {
  return Math.max(episodes + 20, Math.ceil(1.25 * episodes));
}

export interface AddingOptions {
  /** Epoch milliseconds: later times of episodes count as this one. Default: no limit. */
  readonly now?: number;
  /** Index positions of corrupt episodes, so that the next run does not read them again. */
  readonly skipped?: readonly IndexPosition[];
}

/**
 * Item effects, recent picks and progress after new episodes. Sums are added in the order of users,
 * versions and interactions, so that the result does not depend on the order in which updates were
 * stored.
 */
export function addEpisodes(
  { items, recent, progress }: Pick<PopulationModel, 'items' | 'recent' | 'progress'>,
  found: readonly IndexedEpisode[],
  { now, skipped = [] }: AddingOptions = {},
): Pick<PopulationModel, 'items' | 'recent' | 'progress'> {
  const sums = new Map<bigint, ItemSums>(items.sums);
  let squares = items.squares;
  const inOrder = found.map(({ episode }) => episode).sort(byUserAndVersion);
  // An index can hold an episode twice when its write was interrupted and repeated. It counts once.
  const each = inOrder.filter((episode, i) => i === 0 || byUserAndVersion(inOrder[i - 1]!, episode) !== 0);
  for (const episode of each) {
    for (const { itemKey, residual } of episode.residuals) {
      const known = sums.get(itemKey);
      const counted = boundedResidual(known, residual);
      sums.set(itemKey, { sum: (known?.sum ?? 0) + counted, count: (known?.count ?? 0) + 1 });
      squares += counted * counted;
    }
    for (const { itemKey, from, to } of episode.corrections ?? []) {
      const known = sums.get(itemKey);
      // The item may have been dropped as one of those with the fewest rewards.
      if (known === undefined) continue;
      sums.set(itemKey, { ...known, sum: known.sum + boundedChange(known, to - from) });
      squares = Math.max(0, squares + to * to - from * from);
    }
  }
  const watermarks = [...progress.watermarks];
  for (const { shard, position } of [...found, ...skipped]) {
    while (watermarks.length <= shard) watermarks.push('');
    if (position > watermarks[shard]!) watermarks[shard] = position;
  }
  const kept = mostSeen(sums);
  const sittings = each
    .filter(({ residuals }) => residuals.length > 0)
    .map(({ userKey, committedAt, residuals }) => ({
      userKey,
      at: committedAt,
      items: residuals.map(({ itemKey }) => itemKey),
    }));
  return {
    recent: addSittings(recent, sittings, {
      total: (key) => items.sums.get(key)?.count ?? 0,
      kept: (key) => kept.has(key),
      ...(now === undefined ? {} : { now }),
    }),
    items: { sums: kept, squares, shrinkage: itemShrinkage(kept.values(), squares) },
    progress: { ...progress, watermarks, episodes: progress.episodes + found.length },
  };
}

function byUserAndVersion(a: Episode, b: Episode): number {
  if (a.userKey !== b.userKey) return a.userKey < b.userKey ? -1 : 1;
  return a.version - b.version;
}

function mostSeen(sums: Map<bigint, ItemSums>): Map<bigint, ItemSums> {
  if (sums.size <= MAX_ITEMS) return sums;
  return new Map([...sums].sort(([, a], [, b]) => b.count - a.count).slice(0, MAX_ITEMS));
}
