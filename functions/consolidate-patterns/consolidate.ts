import { isDeepStrictEqual } from 'node:util';
import type { AdapterStore } from '../../shared/adapter-store/adapter-store.ts';
import type { StoredBasis } from '../../shared/adapter-store/basis-object.ts';
import {
  combine,
  type LearningObjects,
  type SharedLearning,
} from '../../shared/adapter-store/learning-objects.ts';
import type { Lease } from '../../shared/adapter-store/lease.ts';
import type { PendingEpisodes } from '../../shared/adapter-store/pending-episodes.ts';
import { ConflictError, type CorruptObjectError } from '../../shared/errors.ts';
import { coefficientCount } from '../../shared/lora/basis.ts';
import { initialPrior } from '../../shared/lora/prior.ts';
import {
  nextDue,
  objectionTo,
  type Proposal,
  proposePrior,
  type SampledUser,
  sampleOf,
  takeIn,
} from '../../shared/reasoning-bank/consolidation.ts';
import type { EpisodeStore, IndexedEpisode } from '../../shared/reasoning-bank/episode-store.ts';
import { isHeldOut } from '../../shared/reasoning-bank/holdout.ts';
import type { Evidence, Skills } from '../../shared/reasoning-bank/skills.ts';
import { type Uplift, upliftOf } from '../../shared/reasoning-bank/uplift.ts';
import type { FunctionSettings } from '../../shared/runtime/settings.ts';
import { learnBetterBasis, learnFirstBasis } from './learned-basis.ts';
import { loadStates, statisticsUnder } from './sample.ts';
import { learnStrategy, type StrategyReport, type StrategyStore, withMeanReward } from './strategy.ts';

export interface ConsolidationServices {
  readonly cell: string;
  readonly settings: FunctionSettings;
  readonly learning: LearningObjects;
  readonly adapters: AdapterStore;
  readonly episodes: EpisodeStore & StrategyStore;
  readonly pending: PendingEpisodes;
  readonly lease: Pick<Lease, 'take' | 'release'>;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** An object that is not what it should be is left out, and left where it is: it must not keep all others from being learned. */
  readonly onCorrupt: (error: CorruptObjectError) => void;
}

export interface ConsolidationRequest {
  /** Consolidate whatever is new, even if it is little or another run seems to be at it. Default false. */
  readonly force: boolean;
  /** Leave out episodes stored in the last so many seconds: their neighbours may still be on the way. Default 10. */
  readonly settleSeconds: number;
}

export interface ConsolidationReport {
  /**
   * All but `consolidated` change nothing: the next run finds the same episodes again. `running`: another run is at it;
   * `superseded`: another run was first.
   */
  readonly status: 'consolidated' | 'nothing-new' | 'too-little-new' | 'running' | 'superseded';
  readonly newEpisodes: number;
  readonly pendingStored: number;
  /** 1 for a new population prior, 1 for new item effects, 1 for another recommendation. */
  readonly skillsCreated: number;
  /** Skills that the run tried to make, and those that did not come of it, with the reason. */
  readonly considered: number;
  readonly rejected: readonly Rejected[];
  readonly skillsVersion: number;
  readonly items: number;
  /** Of the proposed prior; null when there were too few users to propose one. */
  readonly evidence: Evidence | null;
  /** Whether the proposed prior is now in force. */
  readonly priorAccepted: boolean;
  /** Whether this run made the basis, or a better one, of the items that users gave feedback on. */
  readonly basisLearned: boolean;
  /** What the episodes say of hyperparameters; null when nothing was consolidated, and for the learner 'bayesian', whose strategy is the prior. */
  readonly strategy: StrategyReport | null;
  /** What adapters were worth in the new episodes. */
  readonly uplift: Uplift;
}

/** A population prior and item effects; of the learner 'sgd', where users explore, a step size and item effects. */
const SKILLS_PER_RUN = 2;

export interface Rejected {
  readonly what: 'population prior' | 'step size' | 'item effects';
  readonly why: string;
}

/** Users who came last among whom those are found who are sampled: enough for 200 of the validation fold, which is a tenth. */
const NEWCOMERS = 2_000;
/** Episodes and their residuals that one run takes in at most, so that it fits into memory; the next one is due at once. */
const MAX_TAKEN_IN = 300_000;
const DAY_MS = 86_400_000;
/** Longer than the function may run. */
export const LEASE_MS = 6 * 60_000;

/**
 * Makes skills of what was learned since the last run: item effects, and a population prior where it beats the one in force.
 * Both stand in one object that is written once, conditionally: a crash anywhere leaves the old skills in force.
 * @throws UnavailableError; CorruptObjectError when the skills or the basis themselves are corrupt
 */
export async function consolidate(
  services: ConsolidationServices,
  { force, settleSeconds }: ConsolidationRequest,
): Promise<ConsolidationReport> {
  const { cell, settings, learning, episodes, lease, now } = services;
  const startedAt = now();
  const pendingStored = await storePending(services);
  const [storedBasis, stored] = await Promise.all([learning.basis.refresh(), learning.skills.refresh()]);
  const inForce = combine(storedBasis, stored);
  // After a change of basis there is no prior until one is fitted under it.
  const withoutPrior = stored !== undefined && stored.prior.basisId !== inForce.skills.prior.basisId;
  const { skills } = inForce;
  // The run that made them may have ended before it told the bank.
  if (skills.version > 0) await episodes.recordSkills(cell, skills);
  const found: IndexedEpisode[] = [];
  let room = MAX_TAKEN_IN;
  for await (const episode of episodes.after(
    cell,
    skills.progress.watermarks,
    startedAt - settleSeconds * 1000,
  )) {
    found.push(episode);
    room -= 1 + episode.episode.residuals.length;
    if (room <= 0) break;
  }
  const unchanged = {
    newEpisodes: found.length,
    pendingStored,
    skillsCreated: 0,
    considered: 0,
    rejected: [],
    ...describe(skills),
    uplift: upliftOf(
      found.map(({ episode }) => episode),
      (userKey) => isHeldOut(userKey, settings.holdout),
    ),
  };
  if (found.length === 0 && !withoutPrior) return { ...unchanged, status: 'nothing-new' };
  const { episodes: before, at } = skills.progress;
  const due =
    withoutPrior || room <= 0 || before + found.length >= nextDue(before) || startedAt - at >= DAY_MS;
  if (!force && !due) {
    return { ...unchanged, status: 'too-little-new' };
  }

  if (!(await lease.take(startedAt, LEASE_MS, force))) return { ...unchanged, status: 'running' };
  try {
    const changed = await learn(services, storedBasis, inForce, found, force || withoutPrior);
    return { ...unchanged, ...changed, status: 'consolidated' };
  } catch (error) {
    if (error instanceof ConflictError) return { ...unchanged, status: 'superseded' };
    throw error;
  } finally {
    await lease.release();
  }
}

/**
 * Takes in new episodes and writes what they make of the skills.
 * @throws ConflictError when another run wrote first
 */
async function learn(
  services: ConsolidationServices,
  storedBasis: StoredBasis | undefined,
  inForce: SharedLearning,
  found: readonly IndexedEpisode[],
  force: boolean,
): Promise<Omit<ConsolidationReport, 'status' | 'newEpisodes' | 'pendingStored' | 'uplift'>> {
  const { cell, settings, learning, episodes, now } = services;
  const { skills } = inForce;
  const { items, progress } = takeIn(skills, found);
  const better = await learnBetterBasis(learning, storedBasis, found, settings);
  const shared = better === undefined ? inForce : combine(better, skills);
  const nextFit = nextDue(progress.fittedEpisodes);
  const fits = force || better !== undefined || progress.episodes >= nextFit;
  const sgd = settings.learner === 'sgd';
  const learned = fits && !sgd ? await learnFromUsers(services, shared) : undefined;
  const proposal = learned?.proposal;
  const strategy = sgd && settings.exploration > 0 ? await learnStrategy(services) : null;
  const { prior, priorVersion } = (learned?.shared ?? inForce).skills;
  const recommended = strategy?.recommended ?? {};
  const version = skills.version + 1;
  const accepted = proposal?.better === true;
  const next: Skills = {
    version,
    prior: accepted ? proposal.prior : sgd ? withMeanReward(prior, skills.progress, found) : prior,
    priorVersion: accepted ? version : priorVersion,
    items,
    progress: { ...progress, fittedEpisodes: fits ? progress.episodes : progress.fittedEpisodes, at: now() },
    recommended,
    evidence: accepted ? proposal.evidence : skills.evidence,
  };
  await learning.skills.write(next);
  await episodes.recordSkills(cell, next);
  const considered = sgd && strategy === null ? 1 : SKILLS_PER_RUN;
  const rejected: Rejected[] = [];
  if (!sgd && !accepted) {
    const why =
      learned === undefined
        ? `${progress.episodes} episodes, expected ${nextFit} for the next fit`
        : objectionTo(proposal, learned.sample);
    rejected.push({ what: 'population prior', why });
  }
  if (strategy !== null && isDeepStrictEqual(recommended, skills.recommended)) {
    rejected.push({ what: 'step size', why: `as before: ${strategy.recommendation}` });
  }
  if (found.every(({ episode }) => episode.residuals.length === 0)) {
    rejected.push({ what: 'item effects', why: `no item is named in ${found.length} episodes` });
  }
  return {
    skillsCreated: considered - rejected.length,
    considered,
    rejected,
    skillsVersion: version,
    items: items.sums.size,
    evidence: proposal?.evidence ?? null,
    priorAccepted: accepted,
    basisLearned: learned !== undefined && learned.shared.basis !== inForce.basis,
    strategy,
  };
}

function describe(skills: Skills) {
  const { version, items, evidence } = skills;
  return {
    skillsVersion: version,
    items: items.sums.size,
    evidence,
    priorAccepted: false,
    basisLearned: false,
    strategy: null,
  };
}

async function storePending({ pending, episodes, onCorrupt }: ConsolidationServices): Promise<number> {
  let stored = 0;
  for await (const { key, episode, error } of pending.list()) {
    if (error !== undefined) {
      onCorrupt(error);
      continue;
    }
    await episodes.store(episode);
    await pending.remove(key);
    stored += 1;
  }
  return stored;
}

/** Fits a prior to the users who came last; before that, makes a basis, when there is none and enough waits for one. */
async function learnFromUsers(
  { cell, learning, episodes, adapters, settings, onCorrupt }: ConsolidationServices,
  inForce: SharedLearning,
): Promise<{ shared: SharedLearning; sample: readonly SampledUser[]; proposal: Proposal | undefined }> {
  const sampled = sampleOf(await episodes.newcomers(cell, NEWCOMERS));
  const states = await loadStates(sampled, adapters, settings, onCorrupt);
  const first = inForce.basis === null ? await learnFirstBasis(learning, states, settings) : undefined;
  const shared = first === undefined ? inForce : combine(first, inForce.skills);
  const base = initialPrior(shared.basis?.id ?? null, coefficientCount(shared.basis));
  const sample = statisticsUnder(shared.model, states);
  return { shared, sample, proposal: proposePrior(shared.skills.prior, base, sample) };
}
