/** Sums over an item's residuals: reward minus prediction. Its effect is β = s/(n + k). */
export interface ItemSums {
  /** s, sum of residual rewards. */
  readonly sum: number;
  /** n, number of residuals. */
  readonly count: number;
}

const INITIAL_SHRINKAGE = 20;

/** β of an item, in units of reward; 0 for an unknown item. */
export function itemEffect(item: ItemSums | undefined, shrinkage: number): number {
  return item === undefined ? 0 : item.sum / (item.count + shrinkage);
}

/**
 * k, the shrinkage of item effects: the ratio of the variance within items to the variance between
 * them, by the method of moments (one-way random effects; Searle, Casella & McCulloch, Variance
 * Components, 1992). 20 while there is too little data.
 * @param squares Σ of squared residuals over all items
 */
export function itemShrinkage(items: Iterable<ItemSums>, squares: number): number {
  let total = 0;
  let between = 0;
  let seen = 0;
  for (const { sum, count } of items) {
    if (count === 0) continue;
    total += count;
    between += (sum * sum) / count;
    seen += 1;
  }
  if (total <= 200 || total - seen <= 50) return INITIAL_SHRINKAGE;
  const within = (squares - between) / (total - seen);
  const variance = Math.max(1e-6, ((between / seen - within) * seen) / total);
  return Math.min(60, Math.max(3, within / variance));
}
