import { orAborted } from '../abort.ts';
import { UnavailableError } from '../errors.ts';

export interface CallOptions {
  /** Cancels the call, which then rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds after which the call fails with an UnavailableError. */
  readonly deadlineMs?: number | undefined;
}

/** A source of time, so that tests can pass their own. */
export interface Clock {
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Calls `callback` once after `milliseconds`, unless the returned function is called before. */
  readonly after: (milliseconds: number, callback: () => void) => () => void;
}

export const systemClock: Clock = {
  now: Date.now,
  after(milliseconds, callback) {
    const timer = setTimeout(callback, milliseconds);
    return () => clearTimeout(timer);
  },
};

/**
 * Returns the result of `work`, unless the caller's signal or the deadline comes first. `work`
 * receives a signal of its own.
 * @throws the reason of the caller's signal; UnavailableError at the deadline; errors of `work`
 */
export async function withDeadline<T>(
  what: string,
  { signal, deadlineMs }: CallOptions,
  clock: Clock,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const controller = new AbortController();
  const follow = () => controller.abort(signal?.reason);
  signal?.addEventListener('abort', follow, { once: true });
  const cancel =
    deadlineMs === undefined
      ? undefined
      : clock.after(deadlineMs, () =>
          controller.abort(new UnavailableError(`${what}: found no answer within ${deadlineMs} ms`)),
        );
  try {
    return await orAborted(work(controller.signal), controller.signal);
  } finally {
    cancel?.();
    signal?.removeEventListener('abort', follow);
  }
}

/** Waits. @throws the reason of the signal */
export function pause(milliseconds: number, clock: Clock, signal?: AbortSignal): Promise<void> {
  return orAborted(new Promise<void>((resolve) => void clock.after(milliseconds, resolve)), signal);
}
