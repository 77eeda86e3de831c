import type { ArmEffect, Evidence } from '../../shared/episodes/cell-strategy.ts';
import type { IndexedEpisode } from '../../shared/episodes/episode-store.ts';
import type { StoredBasis } from '../../shared/population/basis-object.ts';
import type { PickRanking } from '../../shared/population/pick-ranking.ts';
import type {
  PopulationModel,
  Progress,
  RecommendedLearningRate,
} from '../../shared/population/population-model.ts';
import type { UnusualUser } from '../../shared/population/prior-fit.ts';
import type { SharedLearning } from '../../shared/population/shared-learning.ts';

/** The input of one run. */
export interface NewFeedback {
  /** The current basis, as stored in S3. */
  readonly currentBasis: StoredBasis | undefined;
  /** As the last run wrote it. Its prior may belong to an earlier basis. */
  readonly stored: PopulationModel | undefined;
  /** The current basis and the population model under it. */
  readonly current: SharedLearning;
  /** New episodes. */
  readonly found: readonly IndexedEpisode[];
  /** Includes the new episodes. */
  readonly progress: Progress;
  /** Fit to users even if little is new. */
  readonly force: boolean;
}

/** What a run learned, item effects apart. */
export interface Learned {
  readonly population: Pick<
    PopulationModel,
    'prior' | 'choice' | 'priorVersion' | 'recommended' | 'evidence'
  >;
  /**
   * Whether the run fitted to users. If so, the next fit is due when there are a quarter more
   * episodes.
   */
  readonly fitted: boolean;
  /** Parts of the population model that the run tried to renew. */
  readonly considered: number;
  readonly rejected: readonly Rejected[];
  readonly report: LearnedReport;
}

export interface Rejected {
  readonly what: 'population prior' | 'choice prior' | 'learning rate' | 'item effects' | 'neighbours';
  readonly why: string;
}

export interface LearnedReport {
  /**
   * Evidence on the proposed prior; null when no fit was due, or there were too few users to propose
   * one.
   */
  readonly evidence: Evidence | null;
  /** Whether the proposed prior is now the current one. */
  readonly priorAccepted: boolean;
  /** Whether this run learned a new basis from feedback. */
  readonly basisLearned: boolean;
  /** How well picks ranked; null when this run fitted no choice model. */
  readonly pickRanking: PickRanking | null;
  /**
   * The comparison of learning rates; null when none was due, and for the learner 'bayesian'.
   */
  readonly strategy: StrategyReport | null;
  /** Users whom the fit left out because their mean reward is unusual, by key; at most 20. */
  readonly unusualUsers: readonly UnusualUser[];
}

/** The report of a run that learned nothing from users. */
export const NOTHING_LEARNED: LearnedReport = {
  evidence: null,
  priorAccepted: false,
  basisLearned: false,
  pickRanking: null,
  strategy: null,
  unusualUsers: [],
};

export interface StrategyReport {
  /** null when the configured learning rate stays. */
  readonly recommended: RecommendedLearningRate | null;
  /** In words. */
  readonly recommendation: string;
  /** Number of episodes read. */
  readonly episodes: number;
  /** Each learning rate that was tried, against its neighbour towards the configured one. */
  readonly considered: readonly ArmEffect[];
  readonly rejected: readonly { readonly what: string; readonly why: string }[];
}
