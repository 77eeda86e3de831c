import type { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import type { CorruptEpisode, EpisodeStore, IndexedEpisode } from '../../shared/episodes/episode-store.ts';
import type { PendingEpisodes } from '../../shared/episodes/pending-episodes.ts';
import { AttuneError, ConflictError, CorruptObjectError, UnavailableError } from '../../shared/errors.ts';
import { inParallel } from '../../shared/in-parallel.ts';
import { bestHalfLife, HALF_LIVES, type RecentPicks } from '../../shared/lora/recent-picks.ts';
import { addEpisodes, nextDue } from '../../shared/population/episode-progress.ts';
import { learnsFrom, type PopulationModel, type Progress } from '../../shared/population/population-model.ts';
import { summaryOf } from '../../shared/population/prior-summary.ts';
import { basisFor, combine, type LearningObjects } from '../../shared/population/shared-learning.ts';
import { type Uplift, upliftOf } from '../../shared/population/uplift.ts';
import type { Lease } from '../../shared/storage/lease.ts';
import { SKIPPED_AFTER_DAMAGE } from '../../shared/storage/readable.ts';
import { learnLearningRate, type StrategyStore } from './learning-rate.ts';
import type { LearnedReport, NewFeedback, Rejected } from './learning-step.ts';
import { learnNeighbours } from './neighbours.ts';
import { keepPrior, learnPrior } from './population-prior.ts';

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
  /** Corrupt objects are reported, skipped and left in place, so that one cannot block the run. */
  readonly onCorrupt: (error: CorruptObjectError) => void;
}

export interface ConsolidationRequest {
  /** Fit to users even if little is new, and run even if another run holds the lease. Default false. */
  readonly force: boolean;
  /**
   * Skip episodes stored in the last so many seconds, because earlier ones may still be being
   * written. Default 10.
   */
  readonly settleSeconds: number;
}

export interface ConsolidationReport extends LearnedReport {
  /**
   * Only `consolidated` changes anything; after any other status the next run finds the same
   * episodes again. `running`: another run holds the lease. `superseded`: another run wrote first.
   */
  readonly status: 'consolidated' | 'nothing-new' | 'too-little-new' | 'running' | 'superseded';
  readonly newEpisodes: number;
  readonly pendingStored: number;
  /**
   * Parts of the population model that this run renewed: the prior, the item effects, the
   * recommended learning rate. Not the skills of a strategy; the name is the one that
   * `autoConsolidate` of a ReasoningBank answers with.
   */
  readonly skillsCreated: number;
  /** Parts that the run tried to renew, and those that it kept, with the reason. */
  readonly considered: number;
  readonly rejected: readonly Rejected[];
  readonly skillsVersion: number;
  readonly items: number;
  /**
   * `picks` when all rewards of a user are the same, so that only picks carry information;
   * `rewards` otherwise.
   */
  readonly learnsFrom: 'rewards' | 'picks';
  /** Whether this run changed `learnsFrom`. */
  readonly learnsAnew: boolean;
  /** Half-life of popularity in days, for picks; null while popularity forgets nothing. */
  readonly popularityHalfLife: number | null;
  /** What adapters changed in the new episodes. */
  readonly uplift: Uplift;
}

/**
 * Most episodes and residuals that one run reads, so that they fit into memory. Reaching it makes
 * the run due.
 */
const MAX_READ = 300_000;
/** Pending episodes that a run stores: 10,000 take about half a minute. */
const PENDING = { atOnce: 16, most: 10_000 } as const;
/**
 * So many users make a run due. Every user counts once a run, so that few runs of few users cannot
 * decide what all users get.
 */
const ENOUGH_USERS = 20;
const DAY_MS = 86_400_000;
/** Longer than the timeout of the function. */
export const LEASE_MS = 6 * 60_000;

/**
 * Turns the episodes since the last run into the next population model. A run is due when there are
 * new episodes of 20 users, or after a day, and then counts them for item effects and popularity.
 * When there are a quarter more episodes than at the last fit, it also fits a prior, and keeps it
 * if it beats the current one. The model is one object with one conditional write, so that a crash
 * anywhere leaves the old model. A damaged model is made again from the newest version that can be
 * read. Under a damaged basis the prior stays.
 * @throws UnavailableError
 */
export async function consolidate(
  given: ConsolidationServices,
  { force, settleSeconds }: ConsolidationRequest,
): Promise<ConsolidationReport> {
  const services = { ...given, onCorrupt: eachOnce(given.onCorrupt) };
  const { cell, settings, learning, episodes, lease, now } = services;
  const startedAt = now();
  const [storedBasis, stored] = await Promise.all([learning.basis.refresh(), learning.population.refresh()]);
  const pendingStored = await storePending(services, stored?.progress.watermarks);
  const currentBasis = basisFor(storedBasis, settings);
  const current = combine(currentBasis, stored);
  // After a change of basis there is no prior until one is fitted under the new basis.
  const withoutPrior =
    learning.basis.damage === undefined &&
    stored !== undefined &&
    stored.prior.basisId !== current.population.prior.basisId;
  const isDamaged = learning.population.damage !== undefined;
  const { population } = current;
  // The run that wrote this model may have ended before it recorded the prior in the bank.
  if (population.version > 0) await episodes.recordPrior(cell, summaryOf(population));
  const { found, skipped, isFull } = await readNew(
    services,
    population.progress,
    startedAt - settleSeconds * 1000,
  );
  const unchanged = {
    newEpisodes: found.length,
    pendingStored,
    skillsCreated: 0,
    considered: 0,
    rejected: [],
    ...describe(population),
    uplift: upliftOf(found.map(({ episode }) => episode)),
  };
  if (found.length + skipped.length === 0 && !withoutPrior && !isDamaged)
    return { ...unchanged, status: 'nothing-new' };
  const { episodes: before, fittedEpisodes, at } = population.progress;
  const due =
    withoutPrior ||
    isDamaged ||
    isFull ||
    new Set(found.map(({ episode }) => episode.userKey)).size >= ENOUGH_USERS ||
    before + found.length >= nextDue(fittedEpisodes) ||
    startedAt - at >= DAY_MS;
  if (!force && !due) return { ...unchanged, status: 'too-little-new' };

  if (!(await lease.take(now(), LEASE_MS, force))) return { ...unchanged, status: 'running' };
  try {
    // The stored basis belongs to other settings: learn a new one as soon as enough interactions
    // are buffered.
    const startsAnew = storedBasis !== currentBasis;
    const learned = await learn(services, {
      currentBasis,
      stored,
      current,
      found,
      skipped,
      force: force || withoutPrior || startsAnew,
    });
    return { ...unchanged, ...learned };
  } catch (error) {
    if (error instanceof ConflictError) return { ...unchanged, status: 'superseded' };
    throw error;
  } finally {
    await lease.release().catch((error) => {
      // The work is done, and a lease that is not released expires.
      if (!(error instanceof UnavailableError)) throw error;
    });
  }
}

/**
 * Reports each damaged object once a run. A run may read an adapter twice: for its sums and for its
 * picks.
 */
function eachOnce(report: ConsolidationServices['onCorrupt']): ConsolidationServices['onCorrupt'] {
  const reported = new Set<string>();
  return (error) => {
    if (reported.has(error.key)) return;
    reported.add(error.key);
    report(error);
  };
}

/**
 * Reads the episodes after the watermarks, corrupt ones apart. `isFull`: there may be more than
 * this run can hold.
 */
async function readNew(
  { cell, episodes, onCorrupt }: ConsolidationServices,
  { watermarks }: Progress,
  until: number,
): Promise<{ found: IndexedEpisode[]; skipped: CorruptEpisode[]; isFull: boolean }> {
  const found: IndexedEpisode[] = [];
  const skipped: CorruptEpisode[] = [];
  let room = MAX_READ;
  for await (const episode of episodes.after(cell, watermarks, until)) {
    if (episode.error === undefined) found.push(episode);
    else skipped.push(episode);
    room -= 1 + (episode.episode?.residuals.length ?? 0);
    if (room <= 0) break;
  }
  for (const { error } of skipped) onCorrupt(error);
  return { found, skipped, isFull: room <= 0 };
}

/**
 * Learns from new episodes and writes the next population model. Writes nothing when nothing is new
 * and there are no users to fit a missing prior to.
 * @throws ConflictError when another run wrote first
 */
async function learn(
  services: ConsolidationServices,
  { skipped, ...feedback }: Omit<NewFeedback, 'progress'> & { readonly skipped: readonly CorruptEpisode[] },
): Promise<Omit<ConsolidationReport, 'newEpisodes' | 'pendingStored' | 'uplift'>> {
  const { cell, learning, episodes, now } = services;
  const { stored, current, found } = feedback;
  const { items, recent, progress } = addEpisodes(current.population, found, {
    now: now(),
    skipped,
  });
  const learned = await learnerFor(services)(services, { ...feedback, progress });
  const { prior, choice, priorVersion, recommended, evidence } = learned.population;
  const { damage } = learning.population;
  if (found.length + skipped.length === 0 && prior === stored?.prior && damage === undefined) {
    const { considered, rejected, report } = learned;
    return {
      ...describe(current.population),
      ...report,
      status: 'nothing-new',
      skillsCreated: 0,
      considered,
      rejected,
    };
  }
  const fittedEpisodes = learned.fitted ? progress.episodes : progress.fittedEpisodes;
  const next: PopulationModel = {
    version: current.population.version + 1 + (damage === undefined ? 0 : SKIPPED_AFTER_DAMAGE),
    prior,
    choice,
    priorVersion,
    items,
    recent,
    progress: { ...progress, fittedEpisodes, at: now() },
    recommended,
    evidence,
  };
  await learning.population.write(next);
  await episodes.recordPrior(cell, summaryOf(next));
  const findsNeighbours = learned.fitted && choice !== null;
  const objection = findsNeighbours ? await learnNeighbours(services) : undefined;
  const noItem = found.every(({ episode }) => episode.residuals.length === 0);
  const why = `no user's first feedback on an item in ${found.length} episodes`;
  const rejected: Rejected[] = [
    ...learned.rejected,
    ...(noItem ? [{ what: 'item effects', why } as const] : []),
    ...(objection === undefined ? [] : [{ what: 'neighbours', why: objection } as const]),
  ];
  const considered = learned.considered + (findsNeighbours ? 2 : 1);
  return {
    status: 'consolidated',
    skillsCreated: considered - rejected.length,
    considered,
    rejected,
    skillsVersion: next.version,
    items: items.sums.size,
    learnsFrom: learnsFrom(next),
    popularityHalfLife: halfLifeOf(next.recent),
    learnsAnew: learnsFrom(next) !== learnsFrom(stored ?? { choice: null }),
    ...learned.report,
  };
}

/** What learns from users. */
function learnerFor({ settings, learning }: Pick<ConsolidationServices, 'settings' | 'learning'>) {
  if (settings.learner === 'sgd') return learnLearningRate;
  return learning.basis.damage === undefined ? learnPrior : keepPrior;
}

function describe(population: PopulationModel) {
  const { version, items, evidence } = population;
  return {
    skillsVersion: version,
    items: items.sums.size,
    learnsFrom: learnsFrom(population),
    popularityHalfLife: halfLifeOf(population.recent),
    learnsAnew: false,
    evidence,
    priorAccepted: false,
    basisLearned: false,
    pickRanking: null,
    strategy: null,
    unusualUsers: [],
  };
}

function halfLifeOf(recent: RecentPicks): number | null {
  const best = bestHalfLife(recent);
  return best === undefined ? null : HALF_LIVES[best]!;
}

/**
 * Stores what waits for the table, so much at a time and in one run that the run still has time to
 * consolidate.
 */
async function storePending(
  { pending, episodes, onCorrupt }: ConsolidationServices,
  watermarks: readonly string[] = [],
): Promise<number> {
  let stored = 0;
  await inParallel(pending.keys(), PENDING.atOnce, async (key) => {
    if (stored >= PENDING.most) return;
    const waiting = await pending.read(key);
    if (waiting === undefined) return;
    if (waiting.error !== undefined) return onCorrupt(waiting.error);
    try {
      await episodes.store(waiting.episode, { watermarks });
    } catch (refusal) {
      if (!(refusal instanceof AttuneError) || refusal.retryable) throw refusal;
      // The table refuses this episode for good. It stays in place for an operator, and the others
      // go on.
      return onCorrupt(new CorruptObjectError(key, refusal.message, { cause: refusal }));
    }
    await pending.remove(key);
    stored += 1;
  });
  return stored;
}
