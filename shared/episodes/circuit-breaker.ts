import { AttuneError, UnavailableError } from '../errors.ts';

export interface CircuitBreakerOptions {
  /** Most milliseconds of a read. Default 250. */
  readonly readDeadlineMs?: number;
  /** Most milliseconds of a write. Default 1000. */
  readonly writeDeadlineMs?: number;
  /**
   * Consecutive failures that open the breaker. Default 2, so that one update detects a hanging
   * bank.
   */
  readonly failuresToOpen?: number;
  /** Milliseconds after which an open breaker lets one call through. Default 30,000. */
  readonly coolDownMs?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

export type BreakerState = 'closed' | 'open' | 'half-open';

/**
 * Keeps a failing bank from delaying updates: every call has a deadline, and after consecutive
 * failures calls are refused at once until the bank has had time to recover (circuit breaker:
 * Nygard 2007, "Release It!"). A call that missed its deadline may still take effect.
 */
export class CircuitBreaker {
  readonly #deadlines: { readonly read: number; readonly write: number };
  readonly #failuresToOpen: number;
  readonly #coolDownMs: number;
  readonly #now: () => number;
  #failures = 0;
  /** Time at which one call may try again; undefined while closed. */
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
   * @throws UnavailableError when the breaker is open or the deadline passes; otherwise whatever
   * the call throws. A permanent error is an answer, so it does not count as a failure of the bank.
   */
  async call<T>(kind: 'read' | 'write', call: () => Promise<T>): Promise<T> {
    const { state } = this;
    if (state === 'open' || (state === 'half-open' && this.#probing)) {
      throw new UnavailableError('the ReasoningBank failed repeatedly, no calls for a while');
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

/** @throws UnavailableError when the call missed its deadline; its answer is then ignored */
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
