import {
  type BreakerState,
  CircuitBreaker,
  type CircuitBreakerOptions,
} from '../episodes/circuit-breaker.ts';
import { InvalidInputError, shown } from '../errors.ts';
import { parseHints } from '../population/hints.ts';
import type { NewPattern, ReasoningBankInstance, RetrievalOptions } from './bank.ts';
import { QueryCache, type QueryCacheOptions, type QueryCacheStats } from './query-cache.ts';
import { type RecalledPattern, readPatterns, recordOf } from './recalled-pattern.ts';

export interface BankConnectionOptions {
  /** Options of the query cache; false for no cache. */
  readonly cache?: QueryCacheOptions | false;
  readonly guard?: CircuitBreakerOptions;
  /** Most patterns that wait for a bank; then the oldest are dropped. Default 1000. */
  readonly maxPending?: number;
  /** Called whenever the bank failed, so that a failure is visible. Its own errors are ignored. */
  readonly onDegraded?: (degradation: Degradation) => void;
}

export interface Degradation {
  readonly operation: 'retrievePatterns' | 'learnStrategy' | 'storePattern' | 'autoConsolidate';
  readonly error: unknown;
}

/** What a bank knows about an update. */
export interface Advice {
  readonly patterns: readonly RecalledPattern[];
  readonly recommendation: string;
  /** Values by hyperparameter; the learner limits them. */
  readonly hints: Readonly<Record<string, number>>;
}

export interface BankConnectionStats {
  readonly enabled: boolean;
  readonly breaker: BreakerState;
  /** Patterns that wait to be stored. */
  readonly pending: number;
  /** Patterns dropped because too many waited. */
  readonly dropped: number;
  readonly cache: QueryCacheStats;
}

const NO_ADVICE: Advice = { patterns: [], recommendation: '', hints: {} };
const METHODS = ['storePattern', 'retrievePatterns', 'learnStrategy', 'autoConsolidate'] as const;

interface Connected {
  readonly bank: ReasoningBankInstance;
  readonly guard: CircuitBreaker;
}

/**
 * Connects the engine to any ReasoningBank, or to none. Only connecting to a wrong object throws,
 * and no call exceeds the guard's deadlines: a failing bank costs its advice, never an update.
 * After `connect` or `disconnect` returns, no new call goes to the bank before.
 */
export class BankConnection {
  readonly #cache: QueryCache | undefined;
  readonly #guardOptions: CircuitBreakerOptions;
  readonly #maxPending: number;
  readonly #onDegraded: (degradation: Degradation) => void;
  #pending: NewPattern[] = [];
  #dropped = 0;
  #flushing: Promise<number> | undefined;
  #connected: Connected | undefined;

  constructor({
    cache = {},
    guard = {},
    maxPending = 1000,
    onDegraded = () => {},
  }: BankConnectionOptions = {}) {
    this.#cache = cache === false ? undefined : new QueryCache(cache);
    this.#guardOptions = guard;
    this.#maxPending = maxPending;
    this.#onDegraded = onDegraded;
  }

  get bank(): ReasoningBankInstance | undefined {
    return this.#connected?.bank;
  }

  /**
   * Connects to a bank instead of the one before. Waiting patterns go to it with the next one.
   * @throws InvalidInputError when it lacks one of the four methods
   */
  connect(bank: ReasoningBankInstance): void {
    for (const method of METHODS) {
      const found: unknown = (bank as ReasoningBankInstance | null | undefined)?.[method];
      if (typeof found !== 'function') {
        throw new InvalidInputError(`reasoningBank.${method}`, shown(found), 'a function');
      }
    }
    this.#cache?.clear();
    this.#connected = { bank, guard: new CircuitBreaker(this.#guardOptions) };
  }

  /** Disconnects and drops the cached answers. */
  disconnect(): void {
    this.#connected = undefined;
    this.#cache?.clear();
  }

  clearCache(): void {
    this.#cache?.clear();
  }

  stats(): BankConnectionStats {
    return {
      enabled: this.#connected !== undefined,
      breaker: this.#connected?.guard.state ?? 'closed',
      pending: this.#pending.length,
      dropped: this.#dropped,
      cache: this.#cache?.stats() ?? { size: 0, hits: 0, misses: 0, hitRate: 0 },
    };
  }

  /**
   * The bank's advice on a task; empty when it does not answer.
   * @param configured reference of relative recommendations ("reduce learning rate")
   */
  async advise(
    query: string,
    options: RetrievalOptions,
    configured: Readonly<Record<string, number>> = {},
  ): Promise<Advice> {
    const connected = this.#connected;
    if (connected === undefined) return NO_ADVICE;
    const ask = () => this.#ask(connected, query, options);
    let answer: Answer;
    try {
      answer = await (this.#cache === undefined
        ? ask()
        : this.#cache.answer(connected.bank, [query, options], ask));
    } catch (error) {
      if (!(error instanceof PartialAnswer)) throw error;
      answer = error.answer;
    }
    const { patterns, recommendation, typedHints } = answer;
    return { patterns, recommendation, hints: typedHints ?? parseHints(recommendation, configured) };
  }

  /**
   * The patterns most similar to a query, without the cache; null without a bank, empty when it
   * does not answer.
   */
  async recall(query: string, options: RetrievalOptions): Promise<RecalledPattern[] | null> {
    const connected = this.#connected;
    if (connected === undefined) return null;
    const answer = await this.#attempt('retrievePatterns', 'read', connected, (bank) =>
      bank.retrievePatterns(query, options),
    );
    return answer === undefined ? [] : readPatterns(answer.value);
  }

  /** Stores a pattern, or keeps it until a bank accepts it. Without a bank it is dropped. */
  async store(pattern: NewPattern): Promise<'stored' | 'pending' | 'no-bank'> {
    const connected = this.#connected;
    if (connected === undefined) return 'no-bank';
    if (await this.#store(connected, pattern)) {
      if (this.#pending.length > 0) void this.flush();
      return 'stored';
    }
    this.#pending.push(pattern);
    if (this.#pending.length > this.#maxPending) {
      this.#pending.shift();
      this.#dropped += 1;
    }
    return 'pending';
  }

  /**
   * Stores waiting patterns, oldest first, until the bank refuses one. Runs by itself after each
   * stored pattern.
   * @returns the number of stored patterns
   */
  flush(): Promise<number> {
    this.#flushing ??= this.#flush().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  /** The answer of `autoConsolidate`; null without a bank, or when it does not answer. */
  async consolidate(minUses: number, minSuccessRate: number, lookbackDays: number): Promise<unknown> {
    const connected = this.#connected;
    if (connected === undefined) return null;
    // Not guarded, because it is called explicitly, outside an update, and may take long.
    try {
      return await connected.bank.autoConsolidate(minUses, minSuccessRate, lookbackDays);
    } catch (error) {
      this.#degraded({ operation: 'autoConsolidate', error });
      throw error;
    }
  }

  async #ask(connected: Connected, query: string, options: RetrievalOptions): Promise<Answer> {
    const [found, learned] = await Promise.all([
      this.#attempt('retrievePatterns', 'read', connected, (bank) => bank.retrievePatterns(query, options)),
      this.#attempt('learnStrategy', 'read', connected, (bank) => bank.learnStrategy(query)),
    ]);
    const strategy = recordOf(learned?.value);
    const answer: Answer = {
      patterns: readPatterns(found?.value),
      recommendation: typeof strategy?.recommendation === 'string' ? strategy.recommendation : '',
      typedHints: readHints(strategy?.hints),
    };
    if (found === undefined || learned === undefined) throw new PartialAnswer(answer);
    return answer;
  }

  async #store(connected: Connected, pattern: NewPattern): Promise<boolean> {
    return (
      (await this.#attempt('storePattern', 'write', connected, (bank) => bank.storePattern(pattern))) !==
      undefined
    );
  }

  async #flush(): Promise<number> {
    let stored = 0;
    for (let connected = this.#connected; connected !== undefined; connected = this.#connected) {
      const pattern = this.#pending[0];
      if (pattern === undefined || !(await this.#store(connected, pattern))) break;
      if (this.#pending[0] === pattern) this.#pending.shift();
      stored += 1;
    }
    return stored;
  }

  /** The answer in a box; undefined when the call failed. */
  async #attempt(
    operation: Degradation['operation'],
    kind: 'read' | 'write',
    { bank, guard }: Connected,
    call: (bank: ReasoningBankInstance) => Promise<unknown>,
  ): Promise<{ value: unknown } | undefined> {
    try {
      return { value: await guard.call(kind, () => call(bank)) };
    } catch (error) {
      this.#degraded({ operation, error });
      return undefined;
    }
  }

  #degraded(degradation: Degradation): void {
    try {
      this.#onDegraded(degradation);
    } catch {
      // A failing listener must not fail the update.
    }
  }
}

interface Answer {
  readonly patterns: readonly RecalledPattern[];
  readonly recommendation: string;
  readonly typedHints: Readonly<Record<string, number>> | undefined;
}

/** One of the two queries failed: the answer is used, but not cached. */
class PartialAnswer extends Error {
  readonly answer: Answer;

  constructor(answer: Answer) {
    super('the ReasoningBank answered only in part');
    this.answer = answer;
  }
}

/** Typed hints, as Attune's bank gives them; undefined when there are none. */
function readHints(hints: unknown): Record<string, number> | undefined {
  if (!Array.isArray(hints)) return undefined;
  const read: Record<string, number> = {};
  for (const entry of hints) {
    const { hyperparameter, value } = recordOf(entry) ?? {};
    if (typeof hyperparameter === 'string' && typeof value === 'number' && Number.isFinite(value)) {
      read[hyperparameter] = value;
    }
  }
  return read;
}
