import type { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import type { CorruptEpisode, EpisodeStore, IndexedEpisode } from '../../shared/episodes/episode-store.ts';
import type { PendingEpisodes } from '../../shared/episodes/pending-episodes.ts';
import { AttuneError, ConflictError, CorruptObjectError, UnavailableError } from '../../shared/errors.ts';
import type { PopulationModel } from '../../shared/population/population-model.ts';
import { nextDue, takeIn } from '../../shared/population/prior-fit.ts';
import { summaryOf } from '../../shared/population/prior-summary.ts';
import { basisFor, combine, type LearningObjects } from '../../shared/population/shared-learning.ts';
import { type Uplift, upliftOf } from '../../shared/population/uplift.ts';
import type { Lease } from '../../shared/storage/lease.ts';
import { learnLearningRate, type StrategyStore } from './learning-rate.ts';
import type { LearnedReport, NewFeedback, Rejected } from './learning-step.ts';
import { learnPrior } from './population-prior.ts';

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

export interface ConsolidationReport extends LearnedReport {
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
  /** `picks` where all rewards of a user are the same, so that only what users picked teaches anything; else `rewards`. */
  readonly learnsFrom: 'rewards' | 'picks';
  /** What adapters were worth in the new episodes. */
  readonly uplift: Uplift;
}

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
  const [storedBasis, stored] = await Promise.all([learning.basis.refresh(), learning.population.refresh()]);
  const basisInForce = basisFor(storedBasis, settings);
  const inForce = combine(basisInForce, stored);
  // After a change of basis there is no prior until one is fitted under it.
  const withoutPrior = stored !== undefined && stored.prior.basisId !== inForce.population.prior.basisId;
  const { population } = inForce;
  // The run that made them may have ended before it told the bank.
  if (population.version > 0) await episodes.recordPrior(cell, summaryOf(population));
  const found: IndexedEpisode[] = [];
  const passedOver: CorruptEpisode[] = [];
  let room = MAX_TAKEN_IN;
  for await (const episode of episodes.after(
    cell,
    population.progress.watermarks,
    startedAt - settleSeconds * 1000,
  )) {
    if (episode.error === undefined) found.push(episode);
    else passedOver.push(episode);
    room -= 1 + (episode.episode?.residuals.length ?? 0);
    if (room <= 0) break;
  }
  for (const { error } of passedOver) services.onCorrupt(error);
  const unchanged = {
    newEpisodes: found.length,
    pendingStored,
    skillsCreated: 0,
    considered: 0,
    rejected: [],
    ...describe(population),
    uplift: upliftOf(found.map(({ episode }) => episode)),
  };
  if (found.length + passedOver.length === 0 && !withoutPrior) return { ...unchanged, status: 'nothing-new' };
  const { episodes: before, at } = population.progress;
  const due =
    withoutPrior || room <= 0 || before + found.length >= nextDue(before) || startedAt - at >= DAY_MS;
  if (!force && !due) {
    return { ...unchanged, status: 'too-little-new' };
  }

  if (!(await lease.take(startedAt, LEASE_MS, force))) return { ...unchanged, status: 'running' };
  try {
    // After other settings a basis is made as soon as enough waits for it.
    const startsAnew = storedBasis !== basisInForce;
    const made = await learn(services, {
      storedBasis: basisInForce,
      stored,
      inForce,
      found,
      passedOver,
      force: force || withoutPrior || startsAnew,
    });
    return { ...unchanged, ...made };
  } catch (error) {
    if (error instanceof ConflictError) return { ...unchanged, status: 'superseded' };
    throw error;
  } finally {
    await lease.release().catch((error) => {
      // What was done is done; a lease that is not given back expires.
      if (!(error instanceof UnavailableError)) throw error;
    });
  }
}

/**
 * Takes in new episodes and writes what they make of the skills; with nothing new, and nobody to fit a missing prior to, it writes nothing.
 * @throws ConflictError when another run wrote first
 */
async function learn(
  services: ConsolidationServices,
  {
    passedOver,
    ...feedback
  }: Omit<NewFeedback, 'progress'> & { readonly passedOver: readonly CorruptEpisode[] },
): Promise<Omit<ConsolidationReport, 'newEpisodes' | 'pendingStored' | 'uplift'>> {
  const { cell, settings, learning, episodes, now } = services;
  const { stored, inForce, found } = feedback;
  const { items, progress } = takeIn(inForce.population, found, passedOver);
  const learnFromUsers = settings.learner === 'sgd' ? learnLearningRate : learnPrior;
  const learned = await learnFromUsers(services, { ...feedback, progress });
  const { prior, choice, priorVersion, recommended, evidence } = learned.population;
  if (found.length + passedOver.length === 0 && prior === stored?.prior) {
    const { considered, rejected, report } = learned;
    return {
      ...describe(inForce.population),
      ...report,
      status: 'nothing-new',
      skillsCreated: 0,
      considered,
      rejected,
    };
  }
  const fittedEpisodes = learned.fitted ? progress.episodes : progress.fittedEpisodes;
  const next: PopulationModel = {
    version: inForce.population.version + 1,
    prior,
    choice,
    priorVersion,
    items,
    progress: { ...progress, fittedEpisodes, at: now() },
    recommended,
    evidence,
  };
  await learning.population.write(next);
  await episodes.recordPrior(cell, summaryOf(next));
  const noItem = found.every(({ episode }) => episode.residuals.length === 0);
  const why = `no item is named in ${found.length} episodes`;
  const rejected: Rejected[] = [
    ...learned.rejected,
    ...(noItem ? [{ what: 'item effects', why } as const] : []),
  ];
  const considered = learned.considered + 1;
  return {
    status: 'consolidated',
    skillsCreated: considered - rejected.length,
    considered,
    rejected,
    skillsVersion: next.version,
    items: items.sums.size,
    learnsFrom: learnsFrom(next),
    ...learned.report,
  };
}

function describe(population: PopulationModel) {
  const { version, items, evidence } = population;
  return {
    skillsVersion: version,
    items: items.sums.size,
    learnsFrom: learnsFrom(population),
    evidence,
    priorAccepted: false,
    basisLearned: false,
    strategy: null,
  };
}

function learnsFrom({ choice }: PopulationModel): ConsolidationReport['learnsFrom'] {
  return choice === null ? 'rewards' : 'picks';
}

async function storePending({ pending, episodes, onCorrupt }: ConsolidationServices): Promise<number> {
  let stored = 0;
  for await (const { key, episode, error } of pending.list()) {
    if (error !== undefined) {
      onCorrupt(error);
      continue;
    }
    try {
      await episodes.store(episode);
    } catch (refusal) {
      if (!(refusal instanceof AttuneError) || refusal.retryable) throw refusal;
      // It stays where it is for an operator, and the episodes behind it go on.
      onCorrupt(new CorruptObjectError(key, refusal.message, { cause: refusal }));
      continue;
    }
    await pending.remove(key);
    stored += 1;
  }
  return stored;
}
