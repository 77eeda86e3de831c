import { CircuitBreaker } from './circuit-breaker.ts';
import type { EpisodeStore } from './episode-store.ts';

/**
 * Consecutive failures that open the breaker of a busy writer. A function works on several users at
 * once, whose writes fail together.
 */
const FAILURES_TO_OPEN = 5;

/**
 * A store that gives up on a failing bank: after a deadline, and after consecutive failures at
 * once, so that an outage costs each update little. Callers put what it refuses into `pending/`.
 */
export function guardedEpisodeStore(
  episodes: Pick<EpisodeStore, 'store'>,
  guard = new CircuitBreaker({ failuresToOpen: FAILURES_TO_OPEN }),
): Pick<EpisodeStore, 'store'> {
  return { store: (episode, options) => guard.call('write', () => episodes.store(episode, options)) };
}
