import type { Evidence } from '../episodes/cell-strategy.ts';
import type { Episode } from '../episodes/episode.ts';
import type { IndexedEpisode, IndexPosition } from '../episodes/episode-store.ts';
import { type ItemSums, itemShrinkage } from '../lora/item-effects.ts';
import { logMarginalLikelihood, type PreparedPrior, populationPrior } from '../lora/prior.ts';
import type { Statistics } from '../lora/statistics.ts';
import { ratioOfSums } from './intervals.ts';
import type { ItemEffects, PopulationModel, Progress } from './population-model.ts';

/** A user's sums as they stand now, under the basis in force. */
export interface SampledUser {
  readonly userKey: string;
  readonly statistics: Statistics;
}

/** Users whom a prior is fitted to at most, and of those inside the validation fold whom it is compared on. */
const MAX_USERS = 200;
/**
 * Users of the validation fold from which on it tells by its mean which of two priors is better. The mean of a few is a toss of a coin that
 * keeps good priors from new users, because its error is many times what one refit gains: they turn a prior down only when it, and those
 * before it that were put in force all the same, together fall short by two standard errors.
 */
const TELLING_USERS = 30;
/** Items whose effects are kept at most; beyond that the least seen go. */
const MAX_ITEMS = 500_000;
/** One user in ten is never fitted to, so that priors can be compared on them. */
const VALIDATION_FOLD = 10;

/** Whether a user belongs to the permanent validation fold. */
export function isValidationUser(userKey: string): boolean {
  return Number.parseInt(userKey.slice(-8), 16) % VALIDATION_FOLD === 0;
}

/** Episodes after which the next consolidation is due: cheap while young, and then every time they have grown by a quarter. */
export function nextDue(episodes: number): number {
  return Math.max(episodes + 20, Math.ceil(1.25 * episodes));
}

/**
 * Item effects and progress with new episodes taken in. Sums are added in the order of users, versions and interactions, so that
 * they do not depend on which update happened to be stored first.
 * @param passedOver places of what cannot be read, which the next run is not to meet again
 */
export function takeIn(
  { items, progress }: Pick<PopulationModel, 'items' | 'progress'>,
  found: readonly IndexedEpisode[],
  passedOver: readonly IndexPosition[] = [],
): { items: ItemEffects; progress: Progress } {
  const sums = new Map<bigint, ItemSums>(items.sums);
  let squares = items.squares;
  const inOrder = found.map(({ episode }) => episode).sort(byUserAndVersion);
  // An index may hold an episode twice, when its write was cut off and done again; it counts once.
  const each = inOrder.filter((episode, i) => i === 0 || byUserAndVersion(inOrder[i - 1]!, episode) !== 0);
  for (const episode of each) {
    for (const { itemKey, residual } of episode.residuals) {
      const { sum, count } = sums.get(itemKey) ?? { sum: 0, count: 0 };
      sums.set(itemKey, { sum: sum + residual, count: count + 1 });
      squares += residual * residual;
    }
  }
  const watermarks = [...progress.watermarks];
  for (const { shard, position } of [...found, ...passedOver]) {
    while (watermarks.length <= shard) watermarks.push('');
    if (position > watermarks[shard]!) watermarks[shard] = position;
  }
  const kept = mostSeen(sums);
  return {
    items: { sums: kept, squares, shrinkage: itemShrinkage(kept.values(), squares) },
    progress: { ...progress, watermarks, episodes: progress.episodes + found.length },
  };
}

/** A prior that consolidation proposes, with the losses that decide whether it replaces the one in force. */
export interface Proposal {
  readonly prior: PreparedPrior;
  readonly evidence: Evidence;
  /** How far the sum of {@link Evidence.shortfall} may go. */
  readonly tolerance: number;
  readonly better: boolean;
}

/** Steps of expectation maximisation per fit; the next fit goes on from the result. */
const EM_STEPS = 6;

/** Of users, first those who are wanted most, those to sample: so many of either part at most. */
export function sampleOf(users: Iterable<string>): string[] {
  const room = { inside: MAX_USERS, outside: MAX_USERS };
  return [...users].filter((userKey) => room[isValidationUser(userKey) ? 'inside' : 'outside']-- > 0);
}

/**
 * Fits a new prior to users outside the validation fold and compares it with the current one on those inside, by the marginal
 * likelihood of their rewards. Undefined when either part is empty.
 * @param base the prior before anyone was known
 * @param evidence of the prior in force
 */
export function proposePrior(
  current: PreparedPrior,
  base: PreparedPrior,
  sample: readonly SampledUser[],
  evidence: Evidence | null = null,
): Proposal | undefined {
  const users = sample
    .filter(({ statistics }) => statistics.count > 0)
    .sort((a, b) => (a.userKey < b.userKey ? -1 : 1));
  const fitted = users.filter(({ userKey }) => !isValidationUser(userKey));
  const validation = users.filter(({ userKey }) => isValidationUser(userKey));
  if (fitted.length === 0 || validation.length === 0) return undefined;
  const sums = fitted.map(({ statistics }) => statistics);
  const interactions = sums.reduce((sum, { count }) => sum + count, 0);
  const meanReward = sums.reduce((sum, { rewardSum }) => sum + rewardSum, 0) / interactions;
  let prior: PreparedPrior = { ...current, meanReward };
  for (let step = 0; step < EM_STEPS; step++) prior = populationPrior(sums, prior, base);
  const compared = compare(current, prior, validation);
  const { effect, error } = compared.gain;
  const [low, high] = compared.gain.interval ?? [effect, effect];
  const shortfall = Math.max(0, (evidence?.shortfall ?? 0) - effect);
  const tolerance = validation.length < TELLING_USERS ? 2 * error : 0;
  return {
    prior,
    evidence: {
      users: fitted.length,
      interactions,
      validationUsers: validation.length,
      logLikelihoodBefore: compared.before,
      logLikelihoodAfter: compared.after,
      gainInterval: { low, high },
      shortfall,
    },
    tolerance,
    better: effect > 0 || shortfall < tolerance,
  };
}

/** Why a prior is not put in force, in numbers. @param sample those whom it was, or would have been, fitted to and compared on */
export function objectionTo(proposal: Proposal | undefined, sample: readonly SampledUser[]): string {
  if (proposal === undefined) {
    const users = sample.filter(({ statistics }) => statistics.count > 0);
    const validation = users.filter(({ userKey }) => isValidationUser(userKey)).length;
    return `${users.length - validation} users to fit and ${validation} to validate, expected at least 1 of each`;
  }
  const { validationUsers, logLikelihoodBefore, logLikelihoodAfter, shortfall } = proposal.evidence;
  return (
    `log likelihood ${logLikelihoodAfter.toFixed(6)} per reward of ${validationUsers} validation users, ` +
    `expected more than ${logLikelihoodBefore.toFixed(6)}` +
    (proposal.tolerance === 0
      ? ''
      : `, or to fall short in all by less than ${proposal.tolerance.toFixed(6)}, not ${shortfall.toFixed(6)}`)
  );
}

/** Mean log marginal likelihood per reward under both priors, and the difference with its error, by users. */
function compare(current: PreparedPrior, proposed: PreparedPrior, users: readonly SampledUser[]) {
  const likelihoods = (prior: PreparedPrior) =>
    users.map(({ statistics }) => logMarginalLikelihood(statistics, prior));
  const [before, after] = [likelihoods(current), likelihoods(proposed)];
  const rewards = users.map(({ statistics }) => statistics.count);
  return {
    before: ratioOfSums(before, rewards).effect,
    after: ratioOfSums(after, rewards).effect,
    gain: ratioOfSums(
      after.map((value, i) => value - before[i]!),
      rewards,
    ),
  };
}

function byUserAndVersion(a: Episode, b: Episode): number {
  if (a.userKey !== b.userKey) return a.userKey < b.userKey ? -1 : 1;
  return a.version - b.version;
}

function mostSeen(sums: Map<bigint, ItemSums>): Map<bigint, ItemSums> {
  if (sums.size <= MAX_ITEMS) return sums;
  return new Map([...sums].sort(([, a], [, b]) => b.count - a.count).slice(0, MAX_ITEMS));
}
