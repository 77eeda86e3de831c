import type { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { NO_RECENT_ITEMS, pickedItems } from '../../shared/adapters/recent-items.ts';
import { ConflictError, type CorruptObjectError } from '../../shared/errors.ts';
import { fitNeighbours, mostTelling } from '../../shared/lora/neighbours.ts';
import { tryNeighbours, type UserPicks } from '../../shared/population/neighbour-gate.ts';
import type { LearningObjects } from '../../shared/population/shared-learning.ts';
import { loadAll } from './sample.ts';

/** Users whose picks are read. */
const USERS_READ = 2_000;

/**
 * Learns which items are picked together, and replaces the lists of the last run unless they would
 * rank the picks of validation users worse than popularity alone.
 * @returns why this run replaced no lists; undefined when it did
 * @throws UnavailableError
 */
export async function learnNeighbours({
  adapters,
  learning,
  onCorrupt,
}: {
  readonly adapters: AdapterStore;
  readonly learning: Pick<LearningObjects, 'neighbours'>;
  readonly onCorrupt: (error: CorruptObjectError) => void;
}): Promise<string | undefined> {
  const users: UserPicks[] = [];
  for await (const { userKey, recentItems } of loadAll(
    await adapters.largest(USERS_READ),
    adapters,
    onCorrupt,
  ))
    users.push({ userKey, picks: pickedItems(recentItems ?? NO_RECENT_ITEMS) });
  const { harmful, percentile, users: tried } = tryNeighbours(users);
  if (harmful)
    return `${tried} validation users' later picks ranked at ${percentile!.toFixed(3)}, expected 0.5 or more`;
  const neighbours = fitNeighbours(mostTelling(users.map(({ picks }) => picks)));
  if (neighbours === undefined) return 'no two items were picked together by two users';
  await learning.neighbours.refresh();
  try {
    await learning.neighbours.write(neighbours);
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    // The population model of this run stands, so the run is not superseded.
    return 'another run wrote its lists first';
  }
  return undefined;
}
