import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { LocalFunction } from './function.ts';
import type { InvocationResult } from './protocol.ts';

/** Settings of a function's asynchronous events, from the template's EventInvokeConfig. */
export interface AsyncSettings {
  /** Retries after the first attempt, 0..2. */
  readonly maximumRetryAttempts: number;
  readonly maximumEventAgeSeconds: number;
  /** Receives the record of an event after its last attempt failed. */
  readonly onFailure?: (record: string) => void;
}

export const DEFAULT_ASYNC_SETTINGS: AsyncSettings = {
  maximumRetryAttempts: 2,
  maximumEventAgeSeconds: 21_600,
};

/** Lambda waits one minute before the second attempt and two minutes before the third. */
const RETRY_DELAYS_MS = [60_000, 120_000];

/**
 * Runs asynchronous events: retries failed ones and then sends a record to the failure destination.
 * Unlike Lambda, it keeps pending retries in memory only, so they are lost when the stack stops.
 */
export class AsyncEvents {
  readonly #clock: Clock;
  readonly #settings = new Map<LocalFunction, AsyncSettings>();
  readonly #retries = new Set<() => void>();
  #running = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  configure(target: LocalFunction, settings: AsyncSettings): void {
    this.#settings.set(target, settings);
  }

  /** Whether an event is running or waits for a retry. */
  get busy(): boolean {
    return this.#running > 0 || this.#retries.size > 0;
  }

  /** Starts an event, given as JSON text, and returns its request id. */
  accept(target: LocalFunction, payload: string): string {
    const requestId = randomUUID();
    void this.#attempt(target, payload, requestId, 1, this.#clock.now());
    return requestId;
  }

  /** Cancels all pending retries. */
  close(): void {
    for (const cancel of this.#retries) cancel();
    this.#retries.clear();
  }

  async #attempt(
    target: LocalFunction,
    payload: string,
    requestId: string,
    attempt: number,
    acceptedAt: number,
  ): Promise<void> {
    this.#running++;
    const result = await target.invoke(payload, requestId);
    this.#running--;
    if (!result.failed) return;
    const settings = this.#settings.get(target) ?? DEFAULT_ASYNC_SETTINGS;
    const delay = RETRY_DELAYS_MS[attempt - 1] ?? 0;
    const age = this.#clock.now() + delay - acceptedAt;
    const expired = age > settings.maximumEventAgeSeconds * 1000;
    if (attempt > settings.maximumRetryAttempts || expired) {
      const condition =
        expired && attempt <= settings.maximumRetryAttempts ? 'EventAgeExceeded' : 'RetriesExhausted';
      settings.onFailure?.(failureRecord(target, payload, result, condition, attempt, this.#clock.now()));
      return;
    }
    const cancel = this.#clock.after(delay, () => {
      this.#retries.delete(cancel);
      void this.#attempt(target, payload, requestId, attempt + 1, acceptedAt);
    });
    this.#retries.add(cancel);
  }
}

/** The record that Lambda sends to a failure destination. */
function failureRecord(
  target: LocalFunction,
  payload: string,
  result: InvocationResult,
  condition: string,
  attempts: number,
  now: number,
): string {
  return JSON.stringify({
    version: '1.0',
    timestamp: new Date(now).toISOString(),
    requestContext: {
      requestId: result.requestId,
      functionArn: `${target.configuration.arn}:$LATEST`,
      condition,
      approximateInvokeCount: attempts,
    },
    requestPayload: JSON.parse(payload) as unknown,
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
    responsePayload: JSON.parse(result.payload) as unknown,
  });
}
