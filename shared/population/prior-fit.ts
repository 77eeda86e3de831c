import type { Evidence } from '../episodes/cell-strategy.ts';
import { logMarginalLikelihood, type PreparedPrior, populationPrior } from '../lora/prior.ts';
import { usualRange, winsorised } from '../lora/robust.ts';
import type { Statistics } from '../lora/statistics.ts';
import { ratioOfSums } from './intervals.ts';
import { isValidationUser } from './validation-fold.ts';

/** A user's current sums, under the current basis. */
export interface SampledUser {
  readonly userKey: string;
  readonly statistics: Statistics;
}

/**
 * Number of rewards with which a user counts for half in a mean over users. No user counts for more
 * than one.
 */
const HALF_KNOWN = 2;
/** Smallest standard deviation of users' mean rewards in the test for unusual ones. */
const LEAST_SPREAD = 0.1;
/** Steps of expectation maximisation per fit; the next fit starts from the result. */
const EM_STEPS = 6;

/** A user whose feedback differs from that of others, so that an operator can look into it. */
export interface UnusualUser {
  readonly userKey: string;
  readonly why: string;
}

/** A proposed prior, with the evidence that decides whether it replaces the current one. */
export interface Proposal {
  readonly prior: PreparedPrior;
  readonly evidence: Evidence;
  /** {@link Evidence.shortfall} below which the prior is accepted even without a gain. */
  readonly tolerance: number;
  readonly better: boolean;
  /** Users who were left out or got less weight, by key. */
  readonly unusual: readonly UnusualUser[];
}

/**
 * Fits a new prior to users outside the validation fold and compares it with the current one on the
 * users inside, by the marginal likelihood of their rewards. Undefined when either side is empty.
 * The comparison is noisy, and a rejected prior helps nobody. So it is rejected only when its
 * shortfall, added to that of the priors accepted before it, exceeds half of the 95 % interval of
 * the gain. One user alone is no evidence.
 * @param base the prior before any feedback
 * @param evidence evidence of the current prior
 */
export function proposePrior(
  current: PreparedPrior,
  base: PreparedPrior,
  sample: readonly SampledUser[],
  evidence: Evidence | null = null,
): Proposal | undefined {
  const { usual, unusual } = divided(sample);
  const users = usual.toSorted((a, b) => (a.userKey < b.userKey ? -1 : 1));
  const fitted = users.filter(({ userKey }) => !isValidationUser(userKey));
  const validation = users.filter(({ userKey }) => isValidationUser(userKey));
  if (fitted.length === 0 || validation.length === 0) return undefined;
  const sums = fitted.map(({ statistics }) => statistics);
  const interactions = sums.reduce((sum, { count }) => sum + count, 0);
  const meanReward = meanOver(sums, sums.map(meanRewardOf)).effect;
  let prior: PreparedPrior = { ...current, meanReward };
  for (let step = 0; step < EM_STEPS; step++) prior = populationPrior(sums, prior, base);
  const compared = compare(current, prior, validation);
  const { effect, interval } = compared.gain;
  const [low, high] = interval ?? [effect, effect];
  const before = evidence?.shortfall ?? 0;
  const shortfall = interval === null ? before : Math.max(0, before - effect);
  const tolerance = interval === null ? Number.POSITIVE_INFINITY : (high - low) / 2;
  return {
    prior,
    evidence: {
      users: fitted.length,
      interactions,
      validationUsers: validation.length,
      logLikelihoodBefore: compared.before,
      logLikelihoodAfter: compared.before + effect,
      gainInterval: { low, high },
      shortfall,
    },
    tolerance,
    better: effect > 0 || shortfall < tolerance,
    unusual,
  };
}

/**
 * Why a prior was rejected, in numbers.
 * @param proposal undefined when there were too few users to propose a prior
 * @param sample the users that the prior was, or would have been, fitted to and compared on
 */
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
      : `, or a total shortfall below ${proposal.tolerance.toFixed(6)}, found ${shortfall.toFixed(6)}`)
  );
}

/** Users with rewards, without those whose mean reward is unusual. */
function divided(sample: readonly SampledUser[]): {
  usual: readonly SampledUser[];
  unusual: readonly UnusualUser[];
} {
  const users = sample.filter(({ statistics }) => statistics.count > 0);
  const means = users.map(({ statistics }) => meanRewardOf(statistics));
  const [low, high] = usualRange(means, LEAST_SPREAD);
  const isUsual = (_: SampledUser, i: number) => low <= means[i]! && means[i]! <= high;
  return {
    usual: users.filter(isUsual),
    unusual: users.flatMap((user, i) =>
      isUsual(user, i)
        ? []
        : [
            {
              userKey: user.userKey,
              why: `mean reward ${means[i]!.toFixed(3)} of ${user.statistics.count}, expected ${low.toFixed(3)} to ${high.toFixed(3)}`,
            },
          ],
    ),
  };
}

function meanRewardOf({ rewardSum, count }: Statistics): number {
  return rewardSum / count;
}

/** Mean over users; each counts at most once. */
function meanOver(users: readonly Statistics[], values: readonly number[]) {
  const weights = users.map(({ count }) => count / (count + HALF_KNOWN));
  return ratioOfSums(
    values.map((value, i) => value * weights[i]!),
    weights,
  );
}

/**
 * Mean over users of the log marginal likelihood per reward under the current prior, and the gain
 * with its error. Unusual gains are moved to the bound of usual ones.
 */
function compare(current: PreparedPrior, proposed: PreparedPrior, users: readonly SampledUser[]) {
  const sums = users.map(({ statistics }) => statistics);
  const perReward = (prior: PreparedPrior) =>
    sums.map((statistics) => logMarginalLikelihood(statistics, prior) / statistics.count);
  const before = perReward(current);
  const gains = winsorised(perReward(proposed).map((value, i) => value - before[i]!));
  return { before: meanOver(sums, before).effect, gain: meanOver(sums, gains) };
}
