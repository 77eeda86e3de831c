import type { AdaptationContext } from '../episodes/adaptation-context.ts';
import type { ArmEffect, Hint, PriorSummary, Skill } from '../episodes/cell-strategy.ts';
import type { Outcome } from '../episodes/episode.ts';

/**
 * The memory of training episodes, by its contract. `StoredReasoningBank` is Attune's own; the engine takes any object with the
 * four methods of {@link ReasoningBankInstance}.
 */
export interface ReasoningBank extends ReasoningBankInstance {
  /**
   * Remembers a pattern. One that names its user and version is remembered once, however often it is stored.
   * @returns the pattern's id
   * @throws InvalidInputError naming the field; UnavailableError
   */
  storePattern(pattern: NewPattern): Promise<string>;

  /**
   * The patterns most similar to a query: exact among a bounded number of the newest, filters applied before ranking.
   * @param query a context, or text: that of a task, or free
   * @throws InvalidInputError naming the option; UnavailableError
   */
  retrievePatterns(query: string | AdaptationContext, options?: RetrievalOptions): Promise<Pattern[]>;

  /**
   * What the bank recommends for a task, and on what evidence.
   * @throws InvalidInputError, UnavailableError
   */
  learnStrategy(task: string | AdaptationContext): Promise<Strategy>;

  /**
   * Makes skills of what was stored.
   * @param minUses episodes that a skill needs, default 5
   * @param minSuccessRate share of them that succeeded, from 0 to 1, default 0.85
   * @param lookbackDays how far back to look, default 30
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
   * Removes all episodes of a user, and nothing else; again, it finds none.
   * @returns how many there were
   * @throws InvalidInputError, UnavailableError
   */
  forgetUser(userId: string): Promise<number>;
}

/** What the engine needs of a bank. What other people's banks answer is checked before it is used. */
export interface ReasoningBankInstance {
  storePattern(pattern: NewPattern): Promise<unknown>;
  retrievePatterns(query: string, options?: RetrievalOptions): Promise<unknown>;
  learnStrategy(task: string): Promise<unknown>;
  autoConsolidate(minUses: number, minSuccessRate: number, lookbackDays: number): Promise<unknown>;
}

/** A training episode as it is told to the bank. */
export interface NewPattern {
  /** Who tells: 1 to 128 characters. */
  readonly sessionId: string;
  /** What was done, such as `lora_adaptation_user_{id}_rank_{r}_samples_{n}`: 1 to 1024 characters. */
  readonly task: string;
  /** Texts of at most 4096 bytes each. */
  readonly input?: string;
  readonly output?: string;
  readonly critique?: string;
  readonly success: boolean;
  /** From 0 to 1. */
  readonly reward: number;
  readonly latencyMs?: number;
  readonly tokensUsed?: number;
  /** Whose adapter; read from the task when it is left out there. */
  readonly userId?: string;
  /** Version of the adapter that the episode made; with the user, the episode's identity. */
  readonly version?: number;
  /** What makes episodes comparable; what is left out is read from the task. */
  readonly context?: AdaptationContext;
  /** The numbers that the learner was steered by. At most 16. */
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
  /** Likeness to the query, from 0 to 1. */
  readonly similarity: number;
  /** SHA-256 of the user id, hex; of the session where no user is known. */
  readonly userKey: string;
  /** 0 when the pattern did not name one. */
  readonly version: number;
  /** Epoch milliseconds. */
  readonly committedAt: number;
  readonly context: AdaptationContext;
  readonly hyperparameters: Readonly<Record<string, number>>;
  readonly outcome: Outcome | null;
}

export interface RetrievalOptions {
  /** How many, from 1 to 10,000. Default 5. */
  readonly k?: number;
  /** Lowest reward, from 0 to 1. Default 0. */
  readonly minReward?: number;
  readonly onlySuccesses?: boolean;
  readonly onlyFailures?: boolean;
}

/** What the bank recommends for a task. */
export interface Strategy {
  /** Only what the evidence supports; empty when the configured values are as good as any. */
  readonly hints: readonly Hint[];
  /** n/(n + 20) for n distinct users behind the recommendation; 0 without any. */
  readonly confidence: number;
  /** The most similar episodes, successes and failures. */
  readonly patterns: readonly Pattern[];
  /** Every value that a hyperparameter was tried at, against the default. */
  readonly causality: readonly ArmEffect[];
  /** For humans; {@link parseHints} reads the same numbers from it. */
  readonly recommendation: string;
  /** What consolidation made of the task's cell. */
  readonly skills: readonly Skill[];
  /** What new users of the cell start from; null before the first consolidation, and in banks that make no prior. */
  readonly prior: PriorSummary | null;
}

export interface ConsolidationSummary {
  /** Skills that are new or changed. */
  readonly skillsCreated: number;
  readonly considered?: number;
  readonly rejected?: readonly { readonly what: string; readonly why: string }[];
}

export interface BankStats {
  /** Episodes in the bank, expired ones left out. At least so many when `complete` is false: counting is bounded, too. */
  readonly episodes: number;
  readonly complete: boolean;
  /** Of the newest episodes of all cells. */
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
