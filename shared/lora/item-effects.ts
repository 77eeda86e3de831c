/**
 * Sums of what an item got beyond what its users were expected to give; its effect is β = s/(n +
 * k).
 */
export interface ItemSums {
  /** s, sum of residual rewards. */
  readonly sum: number;
  /** n, number of users who gave one. */
  readonly count: number;
}

const INITIAL_SHRINKAGE = 20;
const MIN_SHRINKAGE = 5;
const MAX_SHRINKAGE = 60;
/** How far one user may move the effect of an item, in units of reward. */
const MAX_STEP = 0.05;

/** β of an item, in units of reward; 0 when nothing is known of it. */
export function itemEffect(item: ItemSums | undefined, shrinkage: number): number {
  return item === undefined ? 0 : item.sum / (item.count + shrinkage);
}

/**
 * A residual as it is added to an item's sums: brought so near to what is known that it moves β by
 * {@link MAX_STEP} at most, whatever the shrinkage. The first users of an item are held back by
 * that; the more come, the less.
 */
export function boundedResidual(item: ItemSums | undefined, residual: number): number {
  const known = itemEffect(item, MIN_SHRINKAGE);
  const reach = MAX_STEP * ((item?.count ?? 0) + 1 + MIN_SHRINKAGE);
  return Math.min(known + reach, Math.max(known - reach, residual));
}

/** What a corrected residual adds to an item's sums: β moves by {@link MAX_STEP} at most. */
export function boundedChange({ count }: ItemSums, change: number): number {
  const reach = MAX_STEP * (count + MIN_SHRINKAGE);
  return Math.min(reach, Math.max(-reach, change));
}

/** An item whose s²/n is so many times what is expected counts as one of so many times. */
const FAR_OUT = 4;
/** E min(χ², 4) of one degree of freedom. */
const EXPECTED = 0.9205;
const STEPS = 30;

/**
 * k, the shrinkage of item effects: the ratio of the variance W within items to that between them.
 * W is that of one-way random effects (Searle, Casella & McCulloch, Variance Components, 1992); k
 * is found by maximum likelihood with bounded influence of every item (Richardson & Welsh 1995),
 * since E s²/n = W(1 + n/k). From 5 to 60; 20 while there is too little to tell.
 * @param squares Σ of squared residuals over all items
 */
export function itemShrinkage(items: Iterable<ItemSums>, squares: number): number {
  const seen = [...items].filter(({ count }) => count > 0);
  const total = seen.reduce((sum, { count }) => sum + count, 0);
  if (total <= 200 || total - seen.length <= 50) return INITIAL_SHRINKAGE;
  const between = seen.reduce((sum, item) => sum + item.sum ** 2 / item.count, 0);
  const within = (squares - between) / (total - seen.length);
  // Above 0 where items differ by more than k says.
  const score = (k: number) =>
    seen.reduce((sum, item) => {
      const expected = within * (1 + item.count / k);
      const found = item.sum ** 2 / item.count / expected;
      return sum + (item.count / expected) * (Math.min(FAR_OUT, found) - EXPECTED);
    }, 0);
  let [low, high] = [MIN_SHRINKAGE, MAX_SHRINKAGE];
  if (score(low) >= 0) return low;
  if (score(high) <= 0) return high;
  for (let step = 0; step < STEPS; step++) {
    const middle = Math.sqrt(low * high);
    if (score(middle) > 0) high = middle;
    else low = middle;
  }
  return Math.sqrt(low * high);
}
