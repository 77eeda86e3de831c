/** A number is unusual when it lies more standard deviations than this from the median. */
const FAR_OUT = 3;
/** Standard deviation of a normal distribution, divided by its median absolute deviation. */
const DEVIATIONS = 1.4826;

/** 0 for an empty list. */
export function median(values: readonly number[]): number {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[half]!;
  return sorted.length === 0 ? 0 : (sorted[half - 1]! + sorted[half]!) / 2;
}

/**
 * The bounds of usual numbers: three standard deviations around the median, estimated from the
 * median absolute deviation (Huber & Ronchetti, Robust Statistics, 2009).
 * @param least smallest standard deviation, so that a majority of equal numbers does not make all
 * others unusual
 */
export function usualRange(values: readonly number[], least = 0): readonly [low: number, high: number] {
  const centre = median(values);
  const deviation = DEVIATIONS * median(values.map((value) => Math.abs(value - centre)));
  const reach = FAR_OUT * Math.max(least, deviation);
  return [centre - reach, centre + reach];
}

/**
 * The numbers, one per user, with unusual ones moved to the bound, so that no user moves their mean
 * far.
 */
export function winsorised(values: readonly number[]): number[] {
  const [low, high] = usualRange(values);
  return values.map((value) => Math.min(high, Math.max(low, value)));
}
