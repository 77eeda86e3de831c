import type { AdapterStore } from '../../shared/adapter-store/adapter-store.ts';
import {
  combine,
  type LearningObjects,
  type SharedLearning,
} from '../../shared/adapter-store/learning-objects.ts';
import type { CorruptObjectError } from '../../shared/errors.ts';
import { coefficientCount } from '../../shared/lora/basis.ts';
import { initialPrior } from '../../shared/lora/prior.ts';
import {
  nextDue,
  objectionTo,
  type Proposal,
  proposePrior,
  type SampledUser,
  sampleOf,
} from '../../shared/reasoning-bank/consolidation.ts';
import type { EpisodeStore } from '../../shared/reasoning-bank/episode-store.ts';
import type { FunctionSettings } from '../../shared/runtime/settings.ts';
import type { Learned, NewFeedback } from './learned.ts';
import { learnBetterBasis, learnFirstBasis } from './learned-basis.ts';
import { loadStates, statisticsUnder } from './sample.ts';

interface PriorServices {
  readonly cell: string;
  readonly settings: FunctionSettings;
  readonly learning: LearningObjects;
  readonly adapters: AdapterStore;
  readonly episodes: Pick<EpisodeStore, 'newcomers'>;
  readonly onCorrupt: (error: CorruptObjectError) => void;
}

/** Users who came last among whom those are found who are sampled: enough for 200 of the validation fold, which is a tenth. */
const NEWCOMERS = 2_000;

/**
 * For the default learner: a better basis, where enough embeddings came for one, and when it is due or the basis is new, a prior.
 * @throws ConflictError when another run wrote first, UnavailableError
 */
export async function learnPrior(
  services: PriorServices,
  { storedBasis, inForce, found, progress, force }: NewFeedback,
): Promise<Learned> {
  const { learning, settings } = services;
  const better = await learnBetterBasis(learning, storedBasis, found, settings);
  const nextFit = nextDue(progress.fittedEpisodes);
  if (!force && better === undefined && progress.episodes < nextFit) {
    const why = `${progress.episodes} episodes, expected ${nextFit} for the next fit`;
    return {
      skills: inForce.skills,
      fitted: false,
      considered: 1,
      rejected: [{ what: 'population prior', why }],
      report: { evidence: null, priorAccepted: false, basisLearned: false, strategy: null },
    };
  }
  const { skills } = inForce;
  const { shared, sample, proposal } = await fitToUsers(
    services,
    better === undefined ? inForce : combine(better, skills),
  );
  const accepted = proposal?.better === true;
  return {
    skills: accepted
      ? { ...skills, prior: proposal.prior, priorVersion: skills.version + 1, evidence: proposal.evidence }
      : shared.skills,
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

/** Proposes a prior to the users who came last; before that, makes a basis, when there is none and enough waits for one. */
async function fitToUsers(
  { cell, learning, episodes, adapters, settings, onCorrupt }: PriorServices,
  inForce: SharedLearning,
): Promise<{ shared: SharedLearning; sample: readonly SampledUser[]; proposal: Proposal | undefined }> {
  const sampled = sampleOf(await episodes.newcomers(cell, NEWCOMERS));
  const states = await loadStates(sampled, adapters, settings, onCorrupt);
  const first = inForce.basis === null ? await learnFirstBasis(learning, states, settings) : undefined;
  const shared = first === undefined ? inForce : combine(first, inForce.skills);
  const { skills } = shared;
  const base = initialPrior(shared.basis?.id ?? null, coefficientCount(shared.basis));
  const sample = statisticsUnder(shared.model, states);
  return { shared, sample, proposal: proposePrior(skills.prior, base, sample, skills.evidence) };
}
