/** Time as schedules and retries see it, so that tests need not wait. */
export interface Clock {
  /** Epoch milliseconds. */
  now(): number;
  /** Runs something once, `ms` from now; the function it returns calls that off. */
  after(ms: number, run: () => void): () => void;
}

/** Node fires timers that are longer than this at once. */
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
