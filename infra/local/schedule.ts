import type { Clock } from './clock.ts';
import type { NextRun } from './schedule-expression.ts';

/** Calls a function at the times of a schedule until it is stopped. */
export class Schedule {
  readonly #next: NextRun;
  readonly #run: (scheduledAt: number) => void;
  readonly #clock: Clock;
  #cancel: () => void = () => {};

  /** @param run receives the scheduled time in epoch milliseconds */
  constructor(next: NextRun, run: (scheduledAt: number) => void, clock: Clock) {
    this.#next = next;
    this.#run = run;
    this.#clock = clock;
  }

  start(): void {
    this.#arm(this.#clock.now());
  }

  stop(): void {
    this.#cancel();
  }

  #arm(after: number): void {
    const scheduledAt = this.#next(after);
    if (scheduledAt === undefined) return;
    this.#cancel = this.#clock.after(scheduledAt - this.#clock.now(), () => {
      this.#run(scheduledAt);
      // Skips the runs that a sleeping machine missed.
      this.#arm(Math.max(scheduledAt, this.#clock.now()));
    });
  }
}
