import type { LinearScorer, Ranked } from '../../shared/catalogue/scan.ts';
import { createRandom } from '../../shared/lora/random.ts';

/** The standard error of a propensity is at most √(¼/draws): 0.035 of 200 draws, 0.071 of 50. */
const DRAWS = { most: 200, least: 50 } as const;
/** Rows that all draws together scan, up to catalogues of 500,000 items. */
const MOST_ROWS = 25_000_000;

/**
 * How many draws propensities are counted from: fewer of a large catalogue, because the time of a
 * draw grows with it. `npm run bench:recommend` measures the time as `exploreMs`.
 */
export function propensityDraws(items: number): number {
  return Math.min(DRAWS.most, Math.max(DRAWS.least, Math.floor(MOST_ROWS / items)));
}

/**
 * The probability that a request like the answered one shows each of the items, at any position:
 * the share of answers to other draws that contain it. The answer itself counts as one of them, so
 * that no propensity is 0.
 * @param draw the scorer of another draw, from standard normal numbers
 * @param show the answer of a scorer
 * @param draws how many
 * @param seed the same seed gives the same result
 * @returns one propensity per item of `chosen`
 */
export async function propensities(
  chosen: readonly Ranked[],
  draw: (normal: () => number) => LinearScorer,
  show: (scorer: LinearScorer) => Promise<readonly Ranked[]>,
  draws: number,
  seed: string,
): Promise<number[]> {
  const { normal } = createRandom(`propensity ${seed}`);
  const shown = new Map(chosen.map(({ itemId }) => [itemId, 1]));
  for (let i = 1; i < draws; i++)
    for (const { itemId } of await show(draw(normal))) {
      const count = shown.get(itemId);
      if (count !== undefined) shown.set(itemId, count + 1);
    }
  return [...shown.values()].map((count) => count / draws);
}
