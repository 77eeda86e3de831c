import type { AdaptationContext } from '../episodes/adaptation-context.ts';
import type { ArmEffect, Hint, PriorSummary, Skill } from '../episodes/cell-strategy.ts';
import type { Outcome } from '../episodes/episode.ts';

/**
 * The contract of the memory of training episodes. `StoredReasoningBank` is Attune's own
 * implementation; the engine accepts any object with the four methods of {@link
 * ReasoningBankInstance}.
 */
export interface ReasoningBank extends ReasoningBankInstance {
  /**
   * Stores a pattern. A pattern with user and version is stored once, however often it is given.
   * @returns the pattern's id
   * @throws InvalidInputError naming the field; UnavailableError
   */
  storePattern(pattern: NewPattern): Promise<string>;

  /**
   * The patterns most similar to a query: exact among a bounded number of the newest, filtered
   * before ranking.
   * @param query a context, or text: a task, or free
   * @throws InvalidInputError naming the option; UnavailableError
   */
  retrievePatterns(query: string | AdaptationContext, options?: RetrievalOptions): Promise<Pattern[]>;

  /**
   * The recommendation of the bank for a task, with its evidence.
   * @throws InvalidInputError, UnavailableError
   */
  learnStrategy(task: string | AdaptationContext): Promise<Strategy>;

  /**
   * Extracts skills from stored patterns.
   * @param minUses least episodes of a skill, default 5
   * @param minSuccessRate least share of them that succeeded, from 0 to 1, default 0.85
   * @param lookbackDays age of the oldest episodes to read, default 30
   * @throws InvalidInputError, UnavailableError
   */
  autoConsolidate(
    minUses?: number,
    minSuccessRate?: number,
    lookbackDays?: number,
  ): Promise<ConsolidationSummary>;

  /** What the bank holds. @throws UnavailableError */
  stats(): Promise<BankStats>;

  /**
   * Removes all episodes of a user, and nothing else; a repeated call removes nothing more.
   * @returns the number of removed episodes
   * @throws InvalidInputError, UnavailableError
   */
  forgetUser(userId: string): Promise<number>;
}

/** What the engine needs of a bank. It checks the answers of any bank before it uses them. */
export interface ReasoningBankInstance {
  storePattern(pattern: NewPattern): Promise<unknown>;
  retrievePatterns(query: string, options?: RetrievalOptions): Promise<unknown>;
  learnStrategy(task: string): Promise<unknown>;
  autoConsolidate(minUses: number, minSuccessRate: number, lookbackDays: number): Promise<unknown>;
}

/** A training episode to store in the bank. */
export interface NewPattern {
  /** The reporting session: 1 to 128 characters. */
  readonly sessionId: string;
  /** The task, such as `lora_adaptation_user_{id}_rank_{r}_samples_{n}`: 1 to 1024 characters. */
  readonly task: string;
  /** Texts of at most 4096 bytes each. */
  readonly input?: string;
  readonly output?: string;
  readonly critique?: string;
  readonly success: boolean;
  /** Reward, from 0 to 1. */
  readonly reward: number;
  readonly latencyMs?: number;
  readonly tokensUsed?: number;
  /** The user of the adapter; read from the task when absent. */
  readonly userId?: string;
  /** Version of the adapter after the episode; together with the user it identifies the episode. */
  readonly version?: number;
  /** What makes episodes comparable; missing fields are read from the task. */
  readonly context?: AdaptationContext;
  /** The hyperparameters of the learner. At most 16. */
  readonly hyperparameters?: Readonly<Record<string, number>>;
  readonly outcome?: Outcome;
}

/** An episode as the bank returns it. */
export interface Pattern {
  readonly id: string;
  readonly sessionId: string;
  readonly task: string;
  readonly input: string;
  readonly output: string;
  readonly critique: string;
  readonly success: boolean;
  readonly reward: number;
  readonly latencyMs: number;
  readonly tokensUsed: number;
  /** Similarity to the query, from 0 to 1. */
  readonly similarity: number;
  /** SHA-256 of the user id, hex; of the session id when the user is unknown. */
  readonly userKey: string;
  /** 0 when the pattern has no version. */
  readonly version: number;
  /** Epoch milliseconds. */
  readonly committedAt: number;
  readonly context: AdaptationContext;
  readonly hyperparameters: Readonly<Record<string, number>>;
  readonly outcome: Outcome | null;
}

export interface RetrievalOptions {
  /** Number of patterns, from 1 to 10,000. Default 5. */
  readonly k?: number;
  /** Lowest reward, from 0 to 1. Default 0. */
  readonly minReward?: number;
  readonly onlySuccesses?: boolean;
  readonly onlyFailures?: boolean;
}

/** What the bank recommends for a task. */
export interface Strategy {
  /** Only what the evidence supports; empty when the configured values should stay. */
  readonly hints: readonly Hint[];
  /** n/(n + 20) for n distinct users behind the recommendation; 0 without any. */
  readonly confidence: number;
  /** The most similar episodes, successes and failures. */
  readonly patterns: readonly Pattern[];
  /** Every tried value of a hyperparameter, against the default. */
  readonly causality: readonly ArmEffect[];
  /** For humans; {@link parseHints} reads the same numbers from it. */
  readonly recommendation: string;
  /** The skills of the task's cell. */
  readonly skills: readonly Skill[];
  /**
   * The prior of new users of the cell; null before the first consolidation, and in banks without
   * priors.
   */
  readonly prior: PriorSummary | null;
}

export interface ConsolidationSummary {
  /** Skills that are new or changed. */
  readonly skillsCreated: number;
  readonly considered?: number;
  readonly rejected?: readonly { readonly what: string; readonly why: string }[];
}

export interface BankStats {
  /**
   * Number of unexpired episodes. A lower bound when `complete` is false, because counting is
   * bounded.
   */
  readonly episodes: number;
  readonly complete: boolean;
  /** Values of the newest episodes of all cells. */
  readonly recent: {
    readonly episodes: number;
    readonly users: number;
    readonly successes: number;
    /** Null when there are none. */
    readonly meanReward: number | null;
  };
  readonly skills: number;
  readonly cells: readonly { readonly cell: string; readonly episodes: number; readonly skills: number }[];
}
