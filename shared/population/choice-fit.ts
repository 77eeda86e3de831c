import {
  choiceEvidence,
  fitChoicePrior,
  initialChoicePrior,
  leftOutPercentile,
  type PickSums,
  type PreparedChoice,
  prepareChoice,
  type Tempering,
} from '../lora/choice.ts';
import { type FeatureMoments, momentsOfFeedback } from '../lora/feature-moments.ts';
import { hasConstantRewards, type Picks, pickSums, spreadOf } from '../lora/picks.ts';
import { pairedDifference } from './intervals.ts';
import type { SampledUser } from './prior-fit.ts';
import { isValidationUser } from './validation-fold.ts';

/** A user's sums with the same rewards as picks. */
export interface SampledPicks extends SampledUser {
  readonly picks: Picks;
}

/**
 * Share of users with equal rewards from which on feedback is read as picks. A few users may always
 * give one reward.
 */
const CONSTANT_USERS = 0.9;
/** Beside so many users with equal rewards, one other user alone decides nothing. */
const ENOUGH_CONSTANT_USERS = 3;
/**
 * Measured by `npm run bench:ranking`: a pick carries less information than one independent draw,
 * and tastes start wide.
 */
const TEMPERING: Tempering = { perPick: 0.3, saturation: 0.03 };
const START_VARIANCE = 10;
const EM_STEPS = 6;

/**
 * Fits the choice model, and keeps the current prior unless the fitted one {@link isBetter} for
 * users of the validation fold. Where the rewards of users do not differ, every reward is a pick;
 * otherwise those above what the user usually gives.
 * @param items moments of the items themselves, undefined when unknown
 * @param current the choice model under the same basis, null when there is none
 * @returns null when nothing was picked
 */
export function fitChoice(
  sample: readonly SampledPicks[],
  items: FeatureMoments | undefined,
  current: PreparedChoice | null,
): PreparedChoice | null {
  const users = sample.toSorted((a, b) => (a.userKey < b.userKey ? -1 : 1));
  const telling = users.filter(({ statistics }) => statistics.count > 1);
  if (telling.length === 0) return current;
  const constant = telling.filter(({ picks, statistics }) => hasConstantRewards(picks, statistics.count));
  const onlyOneDiffers = constant.length >= ENOUGH_CONSTANT_USERS && constant.length === telling.length - 1;
  const picksOnly = constant.length >= CONSTANT_USERS * telling.length || onlyOneDiffers;
  const rewards = picksOnly ? null : spreadOf(telling, TEMPERING.saturation);
  const read = ({ statistics, picks }: SampledPicks) => ({
    ...pickSums(statistics, picks, rewards),
    of: statistics,
  });
  const picking = users.filter((user) => read(user).count > 0);
  if (picking.length === 0) return null;

  const moments = momentsOfFeedback(
    picking.map(({ statistics }) => statistics),
    items,
    TEMPERING.saturation,
  )!;
  if (moments.mean.length === 0) return null;
  const fold = (inside: boolean) =>
    picking.filter(({ userKey }) => isValidationUser(userKey) === inside).map(read);
  const base = initialChoicePrior(moments, START_VARIANCE);
  const before = prepareChoice(current?.prior ?? base, moments, TEMPERING, rewards);
  const fitted = fitChoicePrior(fold(false), moments, {
    base,
    start: before.prior,
    tempering: TEMPERING,
    steps: EM_STEPS,
  });
  const after = prepareChoice(fitted, moments, TEMPERING, rewards);
  return isBetter(before, after, fold(true)) ? after : before;
}

type ReadPicks = PickSums & { readonly of: SampledPicks['statistics'] };

/**
 * Whether a choice model predicts the picks of users at least as well as another, and does not
 * certainly rank them worse: by the percentile of picks, each ranked by the user's other picks.
 */
export function isBetter(
  before: PreparedChoice,
  after: PreparedChoice,
  users: readonly ReadPicks[],
): boolean {
  const evidence = (prepared: PreparedChoice) =>
    users.reduce((sum, picks) => sum + choiceEvidence(picks, prepared), 0);
  if (evidence(after) < evidence(before)) return false;
  const ranking = pairedDifference(
    users
      .filter(({ count }) => count > 1)
      .map((picks) => leftOutPercentile(picks, picks.of, after) - leftOutPercentile(picks, picks.of, before)),
  );
  return ranking.interval === null || ranking.interval[1] >= 0;
}
