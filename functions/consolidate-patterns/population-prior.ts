import type { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import type { BankStore } from '../../shared/episodes/bank-store.ts';
import type { CorruptObjectError } from '../../shared/errors.ts';
import type { PreparedChoice } from '../../shared/lora/choice.ts';
import { initialPriorOf } from '../../shared/lora/prior.ts';
import { fitChoice, type SampledPicks } from '../../shared/population/choice-fit.ts';
import {
  nextDue,
  objectionTo,
  type Proposal,
  proposePrior,
  sampleOf,
} from '../../shared/population/prior-fit.ts';
import {
  combine,
  type LearningObjects,
  type SharedLearning,
} from '../../shared/population/shared-learning.ts';
import { learnBetterBasis, learnFirstBasis } from './learned-basis.ts';
import type { Learned, NewFeedback } from './learning-step.ts';
import { loadStates, statisticsUnder } from './sample.ts';

interface PriorServices {
  readonly cell: string;
  readonly settings: FunctionSettings;
  readonly learning: LearningObjects;
  readonly adapters: AdapterStore;
  readonly episodes: Pick<BankStore, 'newcomers' | 'newest'>;
  readonly onCorrupt: (error: CorruptObjectError) => void;
}

/** Users who came last among whom those are found who are sampled: enough for 200 of the validation fold, which is a tenth. */
const NEWCOMERS = 2_000;
/** Newest episodes of each shard whose users stand in for newcomers who are missing: 1,024 in all. */
const PER_SHARD = 64;

/**
 * For the default learner: a better basis, where enough embeddings came for one, and when it is due or the basis is new, a prior.
 * @throws ConflictError when another run wrote first, UnavailableError
 */
export async function learnPrior(
  services: PriorServices,
  { storedBasis, stored, inForce, found, progress, force }: NewFeedback,
): Promise<Learned> {
  const { learning, settings } = services;
  const better = await learnBetterBasis(learning, storedBasis, found, settings);
  const nextFit = nextDue(progress.fittedEpisodes);
  if (!force && better === undefined && progress.episodes < nextFit) {
    const why = `${progress.episodes} episodes, expected ${nextFit} for the next fit`;
    return {
      population: inForce.population,
      fitted: false,
      considered: 1,
      rejected: [{ what: 'population prior', why }],
      report: { evidence: null, priorAccepted: false, basisLearned: false, strategy: null },
    };
  }
  const { population } = inForce;
  const { shared, sample, proposal, choice } = await fitToUsers(
    services,
    better === undefined ? inForce : combine(better, population),
  );
  const accepted = proposal?.better === true;
  // Where nobody is to fit a prior to, one of another basis stays, by which the next run knows that one is wanted.
  const prior = proposal === undefined ? (stored?.prior ?? shared.population.prior) : shared.population.prior;
  return {
    population: accepted
      ? {
          ...population,
          prior: proposal.prior,
          choice,
          priorVersion: population.version + 1,
          evidence: proposal.evidence,
        }
      : { ...shared.population, prior, choice },
    fitted: true,
    considered: 1,
    rejected: accepted ? [] : [{ what: 'population prior', why: objectionTo(proposal, sample) }],
    report: {
      evidence: proposal?.evidence ?? null,
      priorAccepted: accepted,
      basisLearned: shared.basis !== inForce.basis,
      strategy: null,
    },
  };
}

/**
 * Users who came last, and where these are few, after them those who were active last: the first episode of a user expires, and none of
 * those who come from another cell is a first one. Without a basis those who were active come first: with them interactions wait.
 */
async function usersOf(
  { cell, episodes }: PriorServices,
  { basis }: Pick<SharedLearning, 'basis'>,
): Promise<string[]> {
  const newcomers = await episodes.newcomers(cell, NEWCOMERS);
  if (basis !== null && newcomers.length === NEWCOMERS) return sampleOf(newcomers);
  const active = (await episodes.newest(cell, PER_SHARD)).map(({ userKey }) => userKey);
  return sampleOf(new Set(basis === null ? [...active, ...newcomers] : [...newcomers, ...active]));
}

/** Proposes a prior to users; before that, makes a basis, when there is none and enough waits for one. */
async function fitToUsers(
  services: PriorServices,
  inForce: SharedLearning,
): Promise<{
  shared: SharedLearning;
  sample: readonly SampledPicks[];
  proposal: Proposal | undefined;
  choice: PreparedChoice | null;
}> {
  const { learning, adapters, settings, onCorrupt } = services;
  const states = await loadStates(await usersOf(services, inForce), adapters, settings, onCorrupt);
  const first = inForce.basis === null ? await learnFirstBasis(learning, states, settings) : undefined;
  const shared = first === undefined ? inForce : combine(first, inForce.population);
  const { population, basis } = shared;
  const sample = statisticsUnder(shared.model, states);
  return {
    shared,
    sample,
    proposal: proposePrior(population.prior, initialPriorOf(basis), sample, population.evidence),
    choice: fitChoice(sample, basis?.moments, population.choice),
  };
}
