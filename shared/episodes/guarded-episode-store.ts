import { CircuitBreaker } from './circuit-breaker.ts';
import type { EpisodeStore } from './episode-store.ts';

/** Failures in a row that open the breaker of a busy writer: a function works on several users at once, whose writes fail together. */
const FAILURES_TO_OPEN = 5;

/**
 * A store that gives up on a bank in trouble: within a deadline, and after failures in a row at once, so that an outage costs each update
 * little. What it refuses belongs into `pending/`.
 */
export function guardedEpisodeStore(
  episodes: Pick<EpisodeStore, 'store'>,
  guard = new CircuitBreaker({ failuresToOpen: FAILURES_TO_OPEN }),
): Pick<EpisodeStore, 'store'> {
  return { store: (episode, options) => guard.call('write', () => episodes.store(episode, options)) };
}
