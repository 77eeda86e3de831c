import { randomUUID } from 'node:crypto';
import type { Clock } from '../clock.ts';
import type { LocalFunction } from './function.ts';
import type { InvocationResult } from './protocol.ts';

/** What the template's EventInvokeConfig says of a function's asynchronous events. */
export interface AsyncSettings {
  /** Attempts after the first, 0..2. */
  readonly maximumRetryAttempts: number;
  readonly maximumEventAgeSeconds: number;
  /** Takes the record of an event that was given up. */
  readonly onFailure?: (record: string) => void;
}

export const DEFAULT_ASYNC_SETTINGS: AsyncSettings = {
  maximumRetryAttempts: 2,
  maximumEventAgeSeconds: 21_600,
};

/** Lambda waits one minute before the second attempt and two before the third. */
const RETRY_DELAYS_MS = [60_000, 120_000];

/**
 * Events that nobody waits for the result of: tried again when the function fails, then handed to the destination
 * for failures. Unlike Lambda's, they are in memory only: those waiting for another attempt end with the stack.
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

  /** Whether an event runs or waits for another attempt. */
  get busy(): boolean {
    return this.#running > 0 || this.#retries.size > 0;
  }

  /** Takes an event, as JSON text, and returns its request id. */
  accept(target: LocalFunction, payload: string): string {
    const requestId = randomUUID();
    void this.#attempt(target, payload, requestId, 1, this.#clock.now());
    return requestId;
  }

  /** Drops the events that wait for another attempt. */
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

/** The record that Lambda sends to a destination for failed asynchronous events. */
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
