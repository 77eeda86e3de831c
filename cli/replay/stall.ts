const STALLED_AFTER_S = 60;

/** Signs of progress of a replay. */
export interface Advance {
  /** Anything that changes with progress. */
  readonly progress: () => number;
  /** Messages that have not taken effect yet. */
  readonly inFlight: () => number;
}

/**
 * Reports once when nothing has changed for a minute. The replay keeps waiting, but the user may
 * want to look into it.
 * @returns stops watching
 */
export function watchForStall({ progress, inFlight }: Advance, say: (text: string) => void): () => void {
  let last = progress();
  let seconds = 0;
  const timer = setInterval(() => {
    const now = progress();
    seconds = now === last ? seconds + 1 : 0;
    last = now;
    if (seconds < STALLED_AFTER_S) return;
    clearInterval(timer);
    say(`no progress for ${STALLED_AFTER_S} s, with ${inFlight()} messages in flight; still waiting`);
  }, 1000);
  return () => clearInterval(timer);
}
