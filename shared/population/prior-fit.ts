import type { Evidence } from '../episodes/cell-strategy.ts';
import { logMarginalLikelihood, type PreparedPrior, populationPrior } from '../lora/prior.ts';
import type { Statistics } from '../lora/statistics.ts';
import { ratioOfSums } from './intervals.ts';
import { isValidationUser } from './validation-fold.ts';

/** A user's present sums, under the current basis. */
export interface SampledUser {
  readonly userKey: string;
  readonly statistics: Statistics;
}

/**
 * From this many validation users on, the mean over them alone decides which of two priors is
 * better. The mean over fewer users is too noisy to decide alone, because its error is many times
 * the gain of one fit, and would keep good priors from new users. Fewer users reject a prior only
 * when its shortfall, added to that of the priors accepted before it, exceeds two standard errors.
 */
const ENOUGH_VALIDATION_USERS = 30;
/** Steps of expectation maximisation per fit; the next fit starts from the result. */
const EM_STEPS = 6;

/** A proposed prior, with the evidence that decides whether it replaces the current one. */
export interface Proposal {
  readonly prior: PreparedPrior;
  readonly evidence: Evidence;
  /** {@link Evidence.shortfall} below which the prior is accepted even without a gain. */
  readonly tolerance: number;
  readonly better: boolean;
}

/**
 * Fits a new prior to users outside the validation fold and compares it with the current one on the
 * users inside, by the marginal likelihood of their rewards. Undefined when either side is empty.
 * @param base the prior before any feedback
 * @param evidence evidence of the current prior
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
  const tolerance = validation.length < ENOUGH_VALIDATION_USERS ? 2 * error : 0;
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

/**
 * Mean log marginal likelihood per reward under both priors, and the difference with its error over
 * users.
 */
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
