/** The clock of schedules and retries; tests replace it, so they need not wait. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Calls `run` once, `ms` from now. Returns a function that cancels the call. */
  after(ms: number, run: () => void): () => void;
}

/** Node fires longer timers immediately. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, run) {
    let timer: NodeJS.Timeout;
    const arm = (left: number) => {
      const part = Math.min(left, LONGEST_TIMER_MS);
      timer = setTimeout(() => (left > part ? arm(left - part) : run()), Math.max(0, part));
    };
    arm(ms);
    return () => clearTimeout(timer);
  },
};
