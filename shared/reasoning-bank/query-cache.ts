export interface QueryCacheOptions {
  /** Most cached answers; then the least recently used is dropped. Default 50. */
  readonly capacity?: number;
  /** Milliseconds for which an answer is valid. Default 5 minutes. */
  readonly timeToLiveMs?: number;
  /** Epoch milliseconds. */
  readonly now?: () => number;
}

export interface QueryCacheStats {
  readonly size: number;
  readonly hits: number;
  readonly misses: number;
  /** hits / (hits + misses); 0 before the first query. */
  readonly hitRate: number;
}

interface Entry {
  readonly answer: unknown;
  readonly expiresAt: number;
}

/**
 * A least-recently-used cache of answers of ReasoningBanks. The key is the bank and the full query;
 * an empty answer is an answer. Concurrent equal queries share one request and count as hits.
 * Failures are not cached.
 */
export class QueryCache {
  readonly #capacity: number;
  readonly #timeToLiveMs: number;
  readonly #now: () => number;
  /** In the order of use. */
  readonly #answers = new Map<string, Entry>();
  readonly #inFlight = new Map<string, Promise<unknown>>();
  readonly #banks = new WeakMap<object, number>();
  #bankCount = 0;
  #generation = 0;
  #hits = 0;
  #misses = 0;

  constructor({ capacity = 50, timeToLiveMs = 300_000, now = Date.now }: QueryCacheOptions = {}) {
    this.#capacity = capacity;
    this.#timeToLiveMs = timeToLiveMs;
    this.#now = now;
  }

  /**
   * The cached answer to a query, or a new one.
   * @param bank the bank to ask
   * @param query everything that the answer depends on, as JSON can hold it
   */
  async answer<T>(bank: object, query: readonly unknown[], ask: () => Promise<T>): Promise<T> {
    const key = `${this.#identityOf(bank)} ${JSON.stringify(query)}`;
    const kept = this.#answers.get(key);
    if (kept !== undefined && kept.expiresAt > this.#now()) {
      this.#answers.delete(key);
      this.#answers.set(key, kept);
      this.#hits += 1;
      return kept.answer as T;
    }
    const asked = this.#inFlight.get(key);
    if (asked !== undefined) {
      this.#hits += 1;
      return asked as Promise<T>;
    }
    this.#misses += 1;
    const request = this.#ask(key, ask);
    this.#inFlight.set(key, request);
    return request;
  }

  /** Drops all answers, and those of pending requests. Counts stay. */
  clear(): void {
    this.#generation += 1;
    this.#answers.clear();
    this.#inFlight.clear();
  }

  stats(): QueryCacheStats {
    this.#dropExpired();
    const asked = this.#hits + this.#misses;
    return {
      size: this.#answers.size,
      hits: this.#hits,
      misses: this.#misses,
      hitRate: asked === 0 ? 0 : this.#hits / asked,
    };
  }

  async #ask<T>(key: string, ask: () => Promise<T>): Promise<T> {
    const generation = this.#generation;
    try {
      const answer = await ask();
      if (generation === this.#generation) this.#keep(key, answer);
      return answer;
    } finally {
      if (generation === this.#generation) this.#inFlight.delete(key);
    }
  }

  #keep(key: string, answer: unknown): void {
    this.#answers.delete(key);
    this.#answers.set(key, { answer, expiresAt: this.#now() + this.#timeToLiveMs });
    if (this.#answers.size > this.#capacity) this.#dropExpired();
    for (const oldest of this.#answers.keys()) {
      if (this.#answers.size <= this.#capacity) break;
      this.#answers.delete(oldest);
    }
  }

  #dropExpired(): void {
    const now = this.#now();
    for (const [key, { expiresAt }] of this.#answers) if (expiresAt <= now) this.#answers.delete(key);
  }

  #identityOf(bank: object): number {
    const known = this.#banks.get(bank);
    if (known !== undefined) return known;
    this.#bankCount += 1;
    this.#banks.set(bank, this.#bankCount);
    return this.#bankCount;
  }
}
