/** How well one ranking of the catalogue finds a user's later picks. */
export interface RankingMetrics {
  readonly ndcg: number;
  readonly recall: number;
  /** Reciprocal rank of the first item found. */
  readonly mrr: number;
  readonly auc: number;
}

export const PLACES = 20;

/**
 * NDCG@20, recall@20, MRR and AUC of a ranking of all items but the excluded ones. Items with the
 * same score share the places that they fill equally, which is the mean over all their orders
 * (McSherry & Najork, ECIR 2008).
 * @param scores by item
 * @param heldOut the items to be found, none of them excluded
 * @param excluded by item, 1 for items that are no candidates
 */
export function rankingMetrics(
  scores: Float64Array,
  heldOut: Int32Array,
  excluded: Uint8Array,
): RankingMetrics {
  const held = [...new Set(heldOut)].filter((item) => excluded[item] === 0);
  const levels = Float64Array.from(new Set(held.map((item) => scores[item]!))).sort();
  // Candidates by their position among the scores to find: at a score, or between two.
  const at = new Float64Array(levels.length);
  const between = new Float64Array(levels.length + 1);
  for (let item = 0; item < scores.length; item++) {
    if (excluded[item] === 1) continue;
    const score = scores[item]!;
    let low = 0;
    let high = levels.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (levels[middle]! < score) low = middle + 1;
      else high = middle;
    }
    if (low < levels.length && levels[low] === score) at[low]! += 1;
    else between[low]! += 1;
  }
  const heldAt = new Float64Array(levels.length);
  for (const item of held) heldAt[levels.indexOf(scores[item]!)]! += 1;

  let above = 0;
  let heldAbove = 0;
  let gain = 0;
  let found = 0;
  let mrr = 0;
  let wrong = 0;
  for (let level = levels.length - 1; level >= 0; level--) {
    above += between[level + 1]!;
    const tied = at[level]!;
    const own = heldAt[level]!;
    const others = tied - own;
    for (let place = above; place < Math.min(PLACES, above + tied); place++) {
      gain += own / tied / Math.log2(place + 2);
      found += own / tied;
    }
    if (level === levels.length - 1) mrr = 1 / (above + 1 + others / (own + 1));
    wrong += own * (above - heldAbove + others / 2);
    above += tied;
    heldAbove += own;
  }
  let ideal = 0;
  for (let place = 0; place < Math.min(PLACES, held.length); place++) ideal += 1 / Math.log2(place + 2);
  const candidates = above + between[0]!;
  return {
    ndcg: gain / ideal,
    recall: found / held.length,
    mrr,
    auc: 1 - wrong / (held.length * Math.max(1, candidates - held.length)),
  };
}
