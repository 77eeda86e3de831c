/** What consolidation recommends for a cell. Holds no users. */
export interface CellStrategy {
  readonly cell: string;
  readonly hints: readonly Hint[];
  readonly recommendation: string;
  readonly confidence: number;
  readonly skills: readonly Skill[];
  /** Epoch milliseconds. */
  readonly consolidatedAt: number;
}

export interface Hint {
  /** As declared by the learner, such as `learningRate`. */
  readonly hyperparameter: string;
  readonly value: number;
  readonly evidence: ArmEffect;
}

/**
 * The effect of one value of a hyperparameter on the reward of episodes, against the default value.
 */
export interface ArmEffect {
  readonly hyperparameter: string;
  readonly value: number;
  readonly defaultValue: number;
  readonly episodes: number;
  readonly users: number;
  /** Users of the default value. For learning rates: users with only the default. */
  readonly defaultUsers: number;
  readonly meanReward: number;
  /** Difference of mean rewards of users, arm minus default. */
  readonly effect: number;
  /**
   * 95 % confidence interval of the effect, for all arms of the hyperparameter together; null with
   * fewer than two users per side.
   */
  readonly interval: readonly [number, number] | null;
}

/** Hyperparameters that worked for a cell. Holds no users. */
export interface Skill {
  /** Equal for the same cell and hyperparameters. */
  readonly id: string;
  readonly cell: string;
  readonly hyperparameters: Readonly<Record<string, number>>;
  readonly uses: number;
  readonly users: number;
  readonly successRate: number;
  readonly meanReward: number;
  /** Commit times of its first and last episode, epoch milliseconds. */
  readonly from: number;
  readonly to: number;
}

/** The prior of a cell in few numbers: the strategy of the learner 'bayesian'. Holds no users. */
export interface PriorSummary {
  /** Versions of the population model and of the one that made the prior; 0 before the first. */
  readonly skillsVersion: number;
  readonly priorVersion: number;
  /** σ². */
  readonly noiseVariance: number;
  /** g0. */
  readonly meanReward: number;
  /** Mean variance of a coefficient among users: the spread of tastes. */
  readonly coefficientVariance: number;
  /** Variance of the offset among users. */
  readonly offsetVariance: number;
  /** Items whose effect is known. */
  readonly items: number;
  /** Episodes consolidated so far. */
  readonly episodes: number;
  /** Epoch milliseconds. */
  readonly consolidatedAt: number;
  readonly evidence: Evidence | null;
}

export interface Evidence {
  /** Users whose adapters the prior was fitted to. */
  readonly users: number;
  readonly interactions: number;
  /**
   * Users of the validation fold, to whom no prior is fitted, and their mean log marginal
   * likelihood per reward, before and after.
   */
  readonly validationUsers: number;
  readonly logLikelihoodBefore: number;
  readonly logLikelihoodAfter: number;
  /** 95 % interval of the gain over users (Student); with one user, twice the gain. */
  readonly gainInterval: { readonly low: number; readonly high: number };
  /**
   * Accumulated losses minus gains of this prior and those before it on the validation fold, in log
   * likelihood per reward; at least 0.
   */
  readonly shortfall: number;
}
