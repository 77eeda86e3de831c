import type { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import type { BankStore } from '../../shared/episodes/bank-store.ts';
import type { CorruptObjectError } from '../../shared/errors.ts';
import type { PreparedChoice } from '../../shared/lora/choice.ts';
import { initialPriorOf } from '../../shared/lora/prior.ts';
import { fitChoice, type SampledPicks } from '../../shared/population/choice-fit.ts';
import { nextDue } from '../../shared/population/episode-progress.ts';
import { pickRankingOf } from '../../shared/population/pick-ranking.ts';
import { objectionTo, type Proposal, proposePrior } from '../../shared/population/prior-fit.ts';
import {
  combine,
  type LearningObjects,
  type SharedLearning,
} from '../../shared/population/shared-learning.ts';
import { sampleOf } from '../../shared/population/validation-fold.ts';
import { learnBetterBasis, learnFirstBasis } from './learned-basis.ts';
import { type Learned, type NewFeedback, NOTHING_LEARNED } from './learning-step.ts';
import { loadStates, statisticsUnder } from './sample.ts';

interface PriorServices {
  readonly cell: string;
  readonly settings: FunctionSettings;
  readonly learning: LearningObjects;
  readonly adapters: AdapterStore;
  readonly episodes: Pick<BankStore, 'newcomers' | 'newest'>;
  readonly onCorrupt: (error: CorruptObjectError) => void;
}

/** Newest users to sample from; 2,000 yields about 200 for the validation fold. */
const NEW_USERS = 2_000;
const WORSE_CHOICE = 'the fitted prior predicts or ranks the picks of the validation fold worse';
/** Unusual users to report. */
const MOST_UNUSUAL = 20;
/** Newest episodes to read per shard when there are fewer new users than that: 1,024 in all. */
const PER_SHARD = 64;

/**
 * Learns what the default learner needs: a new basis when there are enough embeddings for one, and
 * a prior when a fit is due or the basis is new.
 * @throws ConflictError when another run wrote first, UnavailableError
 */
export async function learnPrior(
  services: PriorServices,
  { currentBasis, stored, current, found, progress, force }: NewFeedback,
): Promise<Learned> {
  const { learning, settings } = services;
  const newBasis = await learnBetterBasis(learning, currentBasis, found, settings);
  const nextFit = nextDue(progress.fittedEpisodes);
  if (!force && newBasis === undefined && progress.episodes < nextFit) {
    const why = `${progress.episodes} episodes, expected ${nextFit} for the next fit`;
    return {
      population: current.population,
      fitted: false,
      considered: 1,
      rejected: [{ what: 'population prior', why }],
      report: NOTHING_LEARNED,
    };
  }
  const { population } = current;
  const { fittedUnder, sample, proposal, choice } = await fitToUsers(
    services,
    newBasis === undefined ? current : combine(newBasis, population),
  );
  const accepted = proposal?.better === true;
  const keepsChoice = choice !== null && choice.prior === current.population.choice?.prior;
  // Without users to fit to, the prior of the earlier basis stays, which tells the next run that a
  // prior is missing.
  const kept = proposal === undefined ? stored?.prior : undefined;
  return {
    population: accepted
      ? {
          ...population,
          prior: proposal.prior,
          choice,
          priorVersion: population.version + 1,
          evidence: proposal.evidence,
        }
      : { ...fittedUnder.population, prior: kept ?? fittedUnder.population.prior, choice },
    fitted: true,
    considered: keepsChoice ? 2 : 1,
    rejected: [
      ...(accepted ? [] : [{ what: 'population prior' as const, why: objectionTo(proposal, sample) }]),
      ...(keepsChoice ? [{ what: 'choice prior' as const, why: WORSE_CHOICE }] : []),
    ],
    report: {
      evidence: proposal?.evidence ?? null,
      priorAccepted: accepted,
      basisLearned: fittedUnder.basis !== current.basis,
      pickRanking: choice === null ? null : pickRankingOf(sample.map(({ picks }) => picks.ranking)),
      strategy: null,
      unusualUsers: proposal?.unusual.slice(0, MOST_UNUSUAL) ?? [],
    },
  };
}

/**
 * A damaged basis stops learning from users: a new prior or basis would no longer fit the adapters
 * that were learned under the damaged one.
 */
export async function keepPrior(
  _: unknown,
  { stored, current }: Pick<NewFeedback, 'stored' | 'current'>,
): Promise<Learned> {
  return {
    population: stored ?? current.population,
    fitted: false,
    considered: 1,
    rejected: [{ what: 'population prior', why: 'the basis is damaged' }],
    report: NOTHING_LEARNED,
  };
}

/**
 * The newest users, and after them recently active users, because first episodes expire and users
 * of an earlier cell have no first episode in this one. Without a basis, active users come first,
 * because they have buffered interactions.
 */
async function usersToSample(
  { cell, episodes }: PriorServices,
  { basis }: Pick<SharedLearning, 'basis'>,
): Promise<string[]> {
  const newUsers = await episodes.newcomers(cell, NEW_USERS);
  if (basis !== null && newUsers.length === NEW_USERS) return sampleOf(newUsers);
  const active = (await episodes.newest(cell, PER_SHARD)).map(({ userKey }) => userKey);
  return sampleOf(new Set(basis === null ? [...active, ...newUsers] : [...newUsers, ...active]));
}

/**
 * Learns the first basis if there is none and enough interactions are buffered, then fits a prior
 * under the basis.
 */
async function fitToUsers(
  services: PriorServices,
  current: SharedLearning,
): Promise<{
  fittedUnder: SharedLearning;
  sample: readonly SampledPicks[];
  proposal: Proposal | undefined;
  choice: PreparedChoice | null;
}> {
  const { learning, adapters, settings, onCorrupt } = services;
  const states = await loadStates(await usersToSample(services, current), adapters, settings, onCorrupt);
  const firstBasis = current.basis === null ? await learnFirstBasis(learning, states, settings) : undefined;
  const fittedUnder = firstBasis === undefined ? current : combine(firstBasis, current.population);
  const { population, basis } = fittedUnder;
  const sample = statisticsUnder(fittedUnder.model, states);
  return {
    fittedUnder,
    sample,
    proposal: proposePrior(population.prior, initialPriorOf(basis), sample, population.evidence),
    choice: fitChoice(sample, basis?.moments, population.choice),
  };
}
