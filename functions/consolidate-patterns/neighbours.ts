import type { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { NO_RECENT_ITEMS, pickedItems } from '../../shared/adapters/recent-items.ts';
import type { CorruptObjectError } from '../../shared/errors.ts';
import { fitNeighbours, mostTelling } from '../../shared/lora/neighbours.ts';
import type { LearningObjects } from '../../shared/population/shared-learning.ts';
import { loadAll } from './sample.ts';

/** Users whose picks are read. */
const USERS_READ = 2_000;

/**
 * Learns what users who picked an item also picked, and replaces the lists of the last run.
 * @returns the number of items with lists
 * @throws ConflictError when another run wrote first, UnavailableError
 */
export async function learnNeighbours({
  adapters,
  learning,
  onCorrupt,
}: {
  readonly adapters: AdapterStore;
  readonly learning: Pick<LearningObjects, 'neighbours'>;
  readonly onCorrupt: (error: CorruptObjectError) => void;
}): Promise<number> {
  const picks: BigUint64Array[] = [];
  for await (const adapter of loadAll(await adapters.largest(USERS_READ), adapters, onCorrupt))
    picks.push(pickedItems(adapter.recentItems ?? NO_RECENT_ITEMS));
  const neighbours = fitNeighbours(mostTelling(picks));
  if (neighbours === undefined) return 0;
  await learning.neighbours.refresh();
  await learning.neighbours.write(neighbours);
  return neighbours.keys.length;
}
