import type { ArmEffect, Evidence } from '../../shared/episodes/cell-strategy.ts';
import type { IndexedEpisode } from '../../shared/episodes/episode-store.ts';
import type { StoredBasis } from '../../shared/population/basis-object.ts';
import type {
  PopulationModel,
  Progress,
  RecommendedLearningRate,
} from '../../shared/population/population-model.ts';
import type { SharedLearning } from '../../shared/population/shared-learning.ts';

/** What a run has to learn from. */
export interface NewFeedback {
  /** The basis in force, as it stands in S3. */
  readonly storedBasis: StoredBasis | undefined;
  /** As the last run wrote them; their prior may be of another basis than the one in force. */
  readonly stored: PopulationModel | undefined;
  readonly inForce: SharedLearning;
  readonly found: readonly IndexedEpisode[];
  /** With what was found taken in. */
  readonly progress: Progress;
  /** Learn from users even if there is too little new for that. */
  readonly force: boolean;
}

/** What a learner made of it, beside item effects. */
export interface Learned {
  readonly population: Pick<
    PopulationModel,
    'prior' | 'choice' | 'priorVersion' | 'recommended' | 'evidence'
  >;
  /** Whether users were learned from: if so, they are again when episodes have grown by a quarter. */
  readonly fitted: boolean;
  /** Skills that it tried to make. */
  readonly considered: number;
  readonly rejected: readonly Rejected[];
  readonly report: LearnedReport;
}

export interface Rejected {
  readonly what: 'population prior' | 'learning rate' | 'item effects';
  readonly why: string;
}

export interface LearnedReport {
  /** Of the proposed prior; null when there were too few users to propose one. */
  readonly evidence: Evidence | null;
  /** Whether the proposed prior is now in force. */
  readonly priorAccepted: boolean;
  /** Whether this run made the basis, or a better one, of the items that users gave feedback on. */
  readonly basisLearned: boolean;
  /** What the episodes say of hyperparameters; null when nothing was consolidated, and for the learner 'bayesian', whose strategy is the prior. */
  readonly strategy: StrategyReport | null;
}

export interface StrategyReport {
  /** null when the configured learning rate is kept. */
  readonly recommended: RecommendedLearningRate | null;
  /** In words. */
  readonly recommendation: string;
  /** Episodes that were read. */
  readonly episodes: number;
  /** Every value that was tried, against its neighbour on the way to the configured one. */
  readonly considered: readonly ArmEffect[];
  readonly rejected: readonly { readonly what: string; readonly why: string }[];
}
