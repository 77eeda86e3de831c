import { randomUUID } from 'node:crypto';
import { userKey } from '../config/user-key.ts';
import { type AdaptationContext, contextOf } from '../episodes/adaptation-context.ts';
import type { BankStore } from '../episodes/bank-store.ts';
import type { Episode } from '../episodes/episode.ts';
import { SHARDS } from '../episodes/episode-index.ts';
import { verdictOf } from '../episodes/outcome.ts';
import { InvalidInputError, shown } from '../errors.ts';
import { priorInWords, recommend } from '../population/recommendation.ts';
import { checkedId } from '../validation/id.ts';
import type {
  BankStats,
  ConsolidationSummary,
  NewPattern,
  Pattern,
  ReasoningBank,
  RetrievalOptions,
  Strategy,
} from './bank.ts';
import { type CellDefaults, cellOfContext, episodeOf, patternOf, TEXT_CELL } from './pattern.ts';
import { parseConsolidation, parseContext, parsePattern, parseRetrieval } from './pattern-schema.ts';
import { nearest, type Query, wordsOf } from './similarity.ts';
import { extractSkills } from './skill-extraction.ts';

export interface StoredReasoningBankOptions {
  /**
   * Defaults for missing fields of queries and tasks. Default: learner bayesian, rank 4,
   * embeddingDim 64.
   */
  readonly defaults?: Partial<CellDefaults>;
  /**
   * Configured hyperparameters, the reference of comparisons; the most used values where missing.
   */
  readonly hyperparameters?: Readonly<Record<string, number>>;
  /**
   * Replaces {@link consolidatePatterns} in `autoConsolidate`, for example by invoking a function.
   */
  readonly consolidate?: (request: {
    readonly minUses: number;
    readonly minSuccessRate: number;
    readonly lookbackDays: number;
  }) => Promise<ConsolidationSummary>;
  /** Epoch milliseconds. */
  readonly now?: () => number;
  /** Creates the id of a pattern without user and version: unique, without '#'. */
  readonly newId?: () => string;
}

/** Least newest episodes of each shard that a query reads: 512 in all. */
const PER_SHARD = 32;
/** Patterns that a strategy shows. */
const SHOWN_PATTERNS = 5;
const MAX_QUERY_LENGTH = 4096;

/** Attune's ReasoningBank, on any {@link BankStore}. docs/reasoning-bank.md lists its costs. */
export class StoredReasoningBank implements ReasoningBank {
  readonly #store: BankStore;
  readonly #defaults: CellDefaults;
  readonly #hyperparameters: Readonly<Record<string, number>>;
  readonly #consolidate: StoredReasoningBankOptions['consolidate'];
  readonly #now: () => number;
  readonly #newId: () => string;
  readonly #announced = new Set<string>();

  constructor(store: BankStore, options: StoredReasoningBankOptions = {}) {
    const { defaults, hyperparameters = {}, consolidate, now = Date.now, newId = randomUUID } = options;
    this.#store = store;
    this.#defaults = { learner: 'bayesian', rank: 4, embeddingDim: 64, ...defaults };
    this.#hyperparameters = hyperparameters;
    this.#consolidate = consolidate;
    this.#now = now;
    this.#newId = newId;
  }

  async storePattern(pattern: NewPattern): Promise<string> {
    const episode = episodeOf(parsePattern(pattern), {
      id: this.#newId(),
      now: this.#now(),
      defaults: this.#defaults,
    });
    await this.#announce(episode.cell);
    await this.#store.store(episode);
    return episode.report!.id;
  }

  async retrievePatterns(query: string | AdaptationContext, options?: RetrievalOptions): Promise<Pattern[]> {
    const asked = this.#read(query);
    const { k, ...filters } = parseRetrieval(options);
    const passing = await this.#candidates(asked, k, (episode) => passes(episode, filters));
    return nearest(passing, asked, k).map(({ episode, similarity }) => patternOf(episode, similarity));
  }

  async learnStrategy(task: string | AdaptationContext): Promise<Strategy> {
    const asked = this.#read(task);
    const cell = this.#cellOf(asked.context) ?? TEXT_CELL;
    const [episodes, consolidated, prior = null] = await Promise.all([
      this.#store.newest(cell, PER_SHARD),
      this.#store.strategy(cell),
      this.#store.prior(cell),
    ]);
    const { recommendation, ...advice } = recommend(episodes, this.#hyperparameters);
    return {
      ...advice,
      recommendation: [recommendation, ...priorInWords(prior)].join(' '),
      prior,
      patterns: nearest(episodes, asked, SHOWN_PATTERNS).map(({ episode, similarity }) =>
        patternOf(episode, similarity),
      ),
      skills: consolidated?.skills ?? [],
    };
  }

  async autoConsolidate(
    minUses = 5,
    minSuccessRate = 0.85,
    lookbackDays = 30,
  ): Promise<ConsolidationSummary> {
    const request = parseConsolidation({ minUses, minSuccessRate, lookbackDays });
    if (this.#consolidate !== undefined) return this.#consolidate(request);
    return extractSkills(this.#store, await this.#cells(), {
      ...request,
      now: this.#now(),
      defaults: this.#hyperparameters,
    });
  }

  async stats(): Promise<BankStats> {
    const cells = await this.#cells();
    const found = await Promise.all(
      cells.map(async (cell) => {
        const [count, newest, strategy] = await Promise.all([
          this.#store.count(cell),
          this.#store.newest(cell, PER_SHARD),
          this.#store.strategy(cell),
        ]);
        return { cell, count, newest, skills: strategy?.skills.length ?? 0 };
      }),
    );
    const recent = found.flatMap(({ newest }) => newest);
    const verdicts = recent.map(verdictOf);
    return {
      episodes: found.reduce((sum, { count }) => sum + count.episodes, 0),
      complete: found.every(({ count }) => count.complete),
      recent: {
        episodes: recent.length,
        users: new Set(recent.map((episode) => episode.userKey)).size,
        successes: verdicts.filter(({ success }) => success).length,
        meanReward:
          recent.length === 0 ? null : verdicts.reduce((sum, { reward }) => sum + reward, 0) / recent.length,
      },
      skills: found.reduce((sum, { skills }) => sum + skills, 0),
      cells: found
        .filter(({ count, skills }) => count.episodes + skills > 0)
        .map(({ cell, count, skills }) => ({ cell, episodes: count.episodes, skills })),
    };
  }

  async forgetUser(userId: string): Promise<number> {
    return this.#store.forgetUser(userKey(checkedId(userId, 'userId')));
  }

  /**
   * The newest episodes of the query's cell that pass the filter. With too few of them, or without
   * a cell, the newest of all cells, because a similar episode is better than none.
   */
  async #candidates(
    { context }: Query,
    k: number,
    passing: (episode: Episode) => boolean,
  ): Promise<Episode[]> {
    const perShard = Math.max(PER_SHARD, 2 * Math.ceil(k / SHARDS));
    const own = this.#cellOf(context);
    const near = own === undefined ? [] : (await this.#store.newest(own, perShard)).filter(passing);
    if (near.length >= k) return near;
    const others = (await this.#cells()).filter((cell) => cell !== own);
    const far = await Promise.all(others.map((cell) => this.#store.newest(cell, perShard)));
    return [...near, ...far.flat().filter(passing)];
  }

  #read(query: string | AdaptationContext): Query {
    if (typeof query !== 'string') return { context: parseContext(query), words: new Set() };
    if (query.length > MAX_QUERY_LENGTH) {
      throw new InvalidInputError('query', shown(query), `at most ${MAX_QUERY_LENGTH} characters`);
    }
    return { context: contextOf(query), words: wordsOf(query) };
  }

  #cellOf(context: AdaptationContext): string | undefined {
    return cellOfContext(context, this.#defaults);
  }

  /**
   * All known cells and the default one, where the update path stores episodes without announcing
   * the cell.
   */
  async #cells(): Promise<string[]> {
    const own = cellOfContext(this.#defaults, this.#defaults)!;
    return [...new Set([...(await this.#store.cells()), own])].sort();
  }

  async #announce(cell: string): Promise<void> {
    if (this.#announced.has(cell)) return;
    await this.#store.announce(cell);
    this.#announced.add(cell);
  }
}

function passes(episode: Episode, options: Required<Omit<RetrievalOptions, 'k'>>): boolean {
  const { reward, success } = verdictOf(episode);
  if (options.onlySuccesses && !success) return false;
  if (options.onlyFailures && success) return false;
  return reward >= options.minReward;
}
