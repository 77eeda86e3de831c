const STALLED_AFTER_S = 60;

/** What tells whether a replay goes on. */
export interface Advance {
  /** Anything that changes with progress. */
  readonly progress: () => number;
  /** Messages that have not taken effect yet. */
  readonly inFlight: () => number;
}

/**
 * Says once when nothing has changed for a minute: the replay waits on, but a person may want to look into it.
 * @returns ends the watch
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
