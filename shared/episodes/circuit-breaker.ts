import { AttuneError, UnavailableError } from '../errors.ts';

export interface CircuitBreakerOptions {
  /** Milliseconds that a read may take. Default 250. */
  readonly readDeadlineMs?: number;
  /** Milliseconds that a write may take. Default 1000. */
  readonly writeDeadlineMs?: number;
  /** Failures in a row that open the breaker. Default 2: of a bank that hangs, one update finds out. */
  readonly failuresToOpen?: number;
  /** Milliseconds after which an open breaker lets one call through to see. Default 30,000. */
  readonly coolDownMs?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * Keeps a bank from holding up what does not need it: every call has a deadline, and after failures in a row calls are refused at
 * once until the bank has had time to recover (circuit breaker: Nygard 2007, "Release It!"). A call that is given up may still take
 * effect.
 */
export class CircuitBreaker {
  readonly #deadlines: { readonly read: number; readonly write: number };
  readonly #failuresToOpen: number;
  readonly #coolDownMs: number;
  readonly #now: () => number;
  #failures = 0;
  /** When one call may try again; undefined while closed. */
  #retryAt: number | undefined;
  #probing = false;

  constructor({
    readDeadlineMs = 250,
    writeDeadlineMs = 1000,
    failuresToOpen = 2,
    coolDownMs = 30_000,
    now = Date.now,
  }: CircuitBreakerOptions = {}) {
    this.#deadlines = { read: readDeadlineMs, write: writeDeadlineMs };
    this.#failuresToOpen = failuresToOpen;
    this.#coolDownMs = coolDownMs;
    this.#now = now;
  }

  get state(): BreakerState {
    if (this.#retryAt === undefined) return 'closed';
    return this.#now() < this.#retryAt ? 'open' : 'half-open';
  }

  /**
   * @throws UnavailableError when the breaker is open or the deadline passes; otherwise whatever the call throws. What the bank refuses
   * for good (a permanent error) is an answer, and no sign of a bank in trouble.
   */
  async call<T>(kind: 'read' | 'write', call: () => Promise<T>): Promise<T> {
    const { state } = this;
    if (state === 'open' || (state === 'half-open' && this.#probing)) {
      throw new UnavailableError('the ReasoningBank failed repeatedly and is left alone for a while');
    }
    const probe = state === 'half-open';
    if (probe) this.#probing = true;
    try {
      const answer = await withDeadline(this.#deadlines[kind], call);
      this.#recovered();
      return answer;
    } catch (error) {
      if (error instanceof AttuneError && !error.retryable) this.#recovered();
      else this.#failed();
      throw error;
    } finally {
      if (probe) this.#probing = false;
    }
  }

  #recovered(): void {
    this.#failures = 0;
    this.#retryAt = undefined;
  }

  #failed(): void {
    this.#failures += 1;
    if (this.#failures >= this.#failuresToOpen) this.#retryAt = this.#now() + this.#coolDownMs;
  }
}

/** @throws UnavailableError when the call has not answered in time; its answer is then ignored */
async function withDeadline<T>(deadlineMs: number, call: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new UnavailableError(`the ReasoningBank did not answer within ${deadlineMs} ms`)),
      deadlineMs,
    );
  });
  try {
    return await Promise.race([call(), late]);
  } finally {
    clearTimeout(timer);
  }
}
