/** An estimate over users with its 95 % interval; null with too few users. */
export interface Estimated {
  readonly effect: number;
  readonly interval: readonly [number, number] | null;
}

const CONFIDENCE = 0.95;

/**
 * Difference of the means of two groups of users with different variances (Welch 1947).
 * @param comparisons number of simultaneous comparisons; the intervals hold for all together
 * (Bonferroni)
 */
export function meanDifference(a: readonly number[], b: readonly number[], comparisons = 1): Estimated {
  const effect = mean(a) - mean(b);
  if (a.length < 2 || b.length < 2) return { effect, interval: null };
  const [errorA, errorB] = [squaredError(a), squaredError(b)];
  const error = errorA + errorB;
  if (error === 0) return { effect, interval: [effect, effect] };
  const freedom = error ** 2 / (errorA ** 2 / (a.length - 1) + errorB ** 2 / (b.length - 1));
  return around(effect, Math.sqrt(error), freedom, comparisons);
}

/**
 * Mean over users of paired differences, with Student's interval; 0 without users.
 * @param comparisons as for {@link meanDifference}
 */
export function pairedDifference(differences: readonly number[], comparisons = 1): Estimated {
  const users = differences.length;
  if (users < 2) return { effect: differences[0] ?? 0, interval: null };
  return around(mean(differences), Math.sqrt(squaredError(differences)), users - 1, comparisons);
}

/**
 * Sum over users of one quantity divided by the sum of another. Its error is the error of the
 * residuals (Cochran, Sampling Techniques, 1977, ch. 6), with Student's quantile.
 * @returns `error`: the standard error, 0 with one user
 */
export function ratioOfSums(
  numerators: readonly number[],
  denominators: readonly number[],
): Estimated & { readonly error: number } {
  const total = sum(denominators);
  const users = denominators.length;
  const effect = sum(numerators) / total;
  if (users < 2) return { effect, interval: null, error: 0 };
  const squares = sum(numerators.map((value, i) => (value - effect * denominators[i]!) ** 2));
  const error = Math.sqrt((squares * users) / (users - 1)) / total;
  return { ...around(effect, error, users - 1, 1), error };
}

function around(effect: number, error: number, freedom: number, comparisons: number): Estimated {
  const margin = studentQuantile(1 - (1 - CONFIDENCE) / comparisons / 2, freedom) * error;
  return { effect, interval: [effect - margin, effect + margin] };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

export function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}

/** Square of the standard error of a mean. */
function squaredError(values: readonly number[]): number {
  const centre = mean(values);
  return sum(values.map((value) => (value - centre) ** 2)) / (values.length - 1) / values.length;
}

/**
 * Quantile of Student's t. Abramowitz & Stegun (1964), 26.7.5 on 26.2.23: within 1 % from 4 degrees
 * of freedom on; below that, an upper bound by the exact quantile of one or two degrees.
 * @param probability above one half
 */
export function studentQuantile(probability: number, freedom: number): number {
  if (freedom < 2) return Math.tan(Math.PI * (probability - 0.5));
  if (freedom < 4) {
    const alpha = 4 * probability * (1 - probability);
    return 2 * (probability - 0.5) * Math.sqrt(2 / alpha);
  }
  const t = Math.sqrt(-2 * Math.log(1 - probability));
  const z =
    t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  const z2 = z * z;
  return (
    z *
    (1 +
      (z2 + 1) / (4 * freedom) +
      ((5 * z2 + 16) * z2 + 3) / (96 * freedom ** 2) +
      (((3 * z2 + 19) * z2 + 17) * z2 - 15) / (384 * freedom ** 3))
  );
}
