import { isDeepStrictEqual } from 'node:util';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import type { BankStore } from '../../shared/episodes/bank-store.ts';
import type { Skill } from '../../shared/episodes/cell-strategy.ts';
import type { IndexedEpisode } from '../../shared/episodes/episode-store.ts';
import type { PreparedPrior } from '../../shared/lora/prior.ts';
import { nextDue } from '../../shared/population/episode-progress.ts';
import { LEARNING_RATE } from '../../shared/population/learning-rate-effects.ts';
import type { Progress, RecommendedLearningRate } from '../../shared/population/population-model.ts';
import { objectionToLearningRate, recommend } from '../../shared/population/recommendation.ts';
import {
  type Learned,
  type NewFeedback,
  NOTHING_LEARNED,
  type Rejected,
  type StrategyReport,
} from './learning-step.ts';

export type StrategyStore = Pick<BankStore, 'newest' | 'strategy' | 'recordStrategy'>;

/** Weight of the initial mean reward, in episodes. */
const MEAN_REWARD_EPISODES = 20;

/** The current prior with a new mean reward. The learner 'sgd' uses nothing else of a prior. */
function withMeanReward(
  prior: PreparedPrior,
  before: Progress,
  found: readonly IndexedEpisode[],
): PreparedPrior {
  const rewarded = found.filter(({ episode }) => episode.outcome.rewards > 0);
  const known = MEAN_REWARD_EPISODES + before.episodes;
  const sum = rewarded.reduce(
    (total, { episode }) => total + episode.outcome.meanReward,
    known * prior.meanReward,
  );
  return { ...prior, meanReward: sum / (known + rewarded.length) };
}

interface StrategyServices {
  readonly cell: string;
  readonly settings: FunctionSettings;
  readonly episodes: StrategyStore;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/**
 * Learns what the learner 'sgd' needs: the mean reward, and with `exploration` above 0 the best
 * learning rate when a comparison is due.
 * @throws UnavailableError
 */
export async function learnLearningRate(
  services: StrategyServices,
  { current, found, progress, force }: NewFeedback,
): Promise<Learned> {
  const { population } = current;
  const fitted = force || progress.episodes >= nextDue(progress.fittedEpisodes);
  const explores = fitted && services.settings.exploration > 0;
  const strategy = explores ? await compareLearningRates(services) : null;
  const recommended =
    strategy === null ? await unlessVoid(services, population.recommended) : strategy.recommended;
  return {
    population: {
      ...population,
      prior: withMeanReward(population.prior, population.progress, found),
      recommended,
    },
    fitted,
    considered: explores ? 1 : 0,
    rejected: strategy === null ? [] : notCreated(strategy, population.recommended),
    report: { ...NOTHING_LEARNED, strategy },
  };
}

/**
 * The recommendation of an earlier exploration. It becomes void, and the bank records that, when
 * another learning rate has been configured since.
 */
async function unlessVoid(
  { cell, settings, episodes, now }: StrategyServices,
  recommended: RecommendedLearningRate | null,
): Promise<RecommendedLearningRate | null> {
  if (recommended === null || recommended.insteadOf === settings.learningRate) return recommended;
  const { learningRate, insteadOf } = recommended;
  await episodes.recordStrategy({
    cell,
    hints: [],
    recommendation: `Keep the configured values: ${LEARNING_RATE} ${learningRate} was recommended in place of ${insteadOf}, which is no longer configured.`,
    confidence: 0,
    skills: await skillsOf(cell, episodes),
    consolidatedAt: now(),
  });
  return null;
}

/** Why there is no new recommendation: it is the same as before, or it was withdrawn. */
function notCreated(
  { recommended, recommendation }: StrategyReport,
  before: StrategyReport['recommended'],
): Rejected[] {
  if (isDeepStrictEqual(recommended, before))
    return [{ what: 'learning rate', why: `as before: ${recommendation}` }];
  return recommended === null ? [{ what: 'learning rate', why: `withdrawn: ${recommendation}` }] : [];
}

/**
 * The skills that `autoConsolidate` extracted from patterns. They share the record with the
 * strategy, so keep them.
 */
async function skillsOf(cell: string, store: StrategyStore): Promise<readonly Skill[]> {
  return (await store.strategy(cell))?.skills ?? [];
}

/** Newest episodes to read per shard: 8,192 in all, however long the history. */
const PER_SHARD = 512;

/**
 * Compares the learning rates of exploring users over the newest episodes, and records the
 * resulting strategy.
 * @throws UnavailableError
 */
async function compareLearningRates({
  cell,
  settings,
  episodes: store,
  now,
}: StrategyServices): Promise<StrategyReport> {
  const { learningRate } = settings;
  const episodes = await store.newest(cell, PER_SHARD);
  const { hints, causality, confidence, recommendation } = recommend(episodes, { learningRate });
  const skills = await skillsOf(cell, store);
  await store.recordStrategy({ cell, hints, recommendation, confidence, skills, consolidatedAt: now() });
  const end = hints.find(({ hyperparameter }) => hyperparameter === LEARNING_RATE)?.value ?? learningRate;
  const isTowardsEnd = (value: number) =>
    Math.min(learningRate, end) <= value && value <= Math.max(learningRate, end);
  return {
    recommended: end === learningRate ? null : { learningRate: end, insteadOf: learningRate },
    recommendation,
    episodes: episodes.length,
    considered: causality,
    rejected: causality
      .filter(({ value }) => !isTowardsEnd(value))
      .map((step) => ({ what: `${LEARNING_RATE} ${step.value}`, why: objectionToLearningRate(step) })),
  };
}
