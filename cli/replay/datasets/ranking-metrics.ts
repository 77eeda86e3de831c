import { InvalidInputError, shown } from '../../../shared/errors.ts';
import { createRandom } from '../../../shared/lora/random.ts';

/**
 * The probability that a liked item scores above a disliked one; a tie counts half.
 * @returns undefined when all items are of one kind
 */
export function aucByThreshold(scores: readonly number[], liked: readonly boolean[]): number | undefined {
  return pairwiseAuc(scores, liked.map(Number));
}

/**
 * The share of pairs of items with different ratings that the scores order correctly; a tie counts
 * half.
 * @returns undefined when all ratings are the same
 */
export function pairwiseAuc(scores: readonly number[], ratings: readonly number[]): number | undefined {
  checkAligned(scores, ratings, 'ratings');
  let right = 0;
  let pairs = 0;
  for (let i = 0; i < scores.length; i++) {
    for (let j = 0; j < i; j++) {
      if (ratings[i] === ratings[j]) continue;
      pairs += 1;
      if (scores[i] === scores[j]) right += 0.5;
      else if (scores[i]! > scores[j]! === ratings[i]! > ratings[j]!) right += 1;
    }
  }
  return pairs === 0 ? undefined : right / pairs;
}

/**
 * Normalised discounted cumulative gain of the first k positions, discount 1/log₂(position + 1).
 * Items with equal scores share their positions equally, which is the mean over all their orders
 * (McSherry & Najork, ECIR 2008).
 * @param gains gain of each item, not negative; usually 2^rating − 1
 * @returns undefined when no item has a gain
 */
export function ndcg(scores: readonly number[], gains: readonly number[], k = 10): number | undefined {
  checkAligned(scores, gains, 'gains');
  const worst = gains.findIndex((gain) => !(gain >= 0 && gain < Infinity));
  if (worst !== -1)
    throw new InvalidInputError(`gains[${worst}]`, shown(gains[worst]), 'a number that is not negative');
  if (!Number.isInteger(k) || k < 1) throw new InvalidInputError('k', shown(k), 'an integer of at least 1');
  const ideal = discountedGain(gains, gains, k);
  return ideal === 0 ? undefined : discountedGain(scores, gains, k) / ideal;
}

function discountedGain(scores: readonly number[], gains: readonly number[], k: number): number {
  const order = scores.map((_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  let total = 0;
  for (let first = 0; first < Math.min(k, order.length); ) {
    let end = first;
    let gain = 0;
    let discount = 0;
    while (end < order.length && scores[order[end]!] === scores[order[first]!]) {
      gain += gains[order[end]!]!;
      if (end < k) discount += 1 / Math.log2(end + 2);
      end += 1;
    }
    total += (gain * discount) / (end - first);
    first = end;
  }
  return total;
}

/** The mean of the defined values; undefined when there is none. */
export function mean(values: readonly (number | undefined)[]): number | undefined {
  const defined = values.filter((value) => value !== undefined);
  return defined.length === 0 ? undefined : defined.reduce((sum, value) => sum + value, 0) / defined.length;
}

export interface BootstrapOptions {
  /** 2000 unless given. */
  readonly resamples?: number;
  readonly seed: number | string;
}

/**
 * 95 % percentile bootstrap interval of the mean (Efron 1979). Resamples users, because one user's
 * interactions are not independent.
 * @param valuesPerUser one value for each user
 * @throws InvalidInputError when there is no value
 */
export function bootstrapInterval(
  valuesPerUser: readonly number[],
  { resamples = 2000, seed }: BootstrapOptions,
): { low: number; high: number } {
  const count = valuesPerUser.length;
  if (count === 0) throw new InvalidInputError('valuesPerUser', 'no value', 'at least one');
  if (!Number.isInteger(resamples) || resamples < 1) {
    throw new InvalidInputError('resamples', shown(resamples), 'an integer of at least 1');
  }
  const random = createRandom(`bootstrap ${seed}`);
  const means = Float64Array.from({ length: resamples }, () => {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += valuesPerUser[random.integer(count)]!;
    return sum / count;
  }).sort();
  return { low: quantile(means, 0.025), high: quantile(means, 0.975) };
}

/** Linear interpolation between order statistics (Hyndman & Fan 1996, type 7). */
function quantile(sorted: Float64Array, share: number): number {
  const at = share * (sorted.length - 1);
  const below = Math.floor(at);
  const low = sorted[below]!;
  return low + (at - below) * ((sorted[below + 1] ?? low) - low);
}

function checkAligned(scores: readonly number[], others: readonly number[], name: string): void {
  if (scores.length !== others.length) {
    throw new InvalidInputError(name, `${others.length} values`, `one for each of ${scores.length} scores`);
  }
  const bad = scores.findIndex((score) => Number.isNaN(score));
  if (bad !== -1) throw new InvalidInputError(`scores[${bad}]`, 'NaN', 'a number');
}
