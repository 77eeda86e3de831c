import type { LinearScorer, Ranked } from '../../shared/catalogue/scan.ts';
import { createRandom } from '../../shared/lora/random.ts';

/** The standard error of a propensity is at most √(¼/draws), 0.035. */
export const PROPENSITY_DRAWS = 200;

/**
 * The probability that a request like the answered one shows each of the items, at any position:
 * the share of answers to other draws that contain it. The answer itself counts as one of them, so
 * that no propensity is 0.
 * @param draw the scorer of another draw, from standard normal numbers
 * @param show the answer of a scorer
 * @param seed the same seed gives the same result
 * @returns one propensity per item of `chosen`
 */
export async function propensities(
  chosen: readonly Ranked[],
  draw: (normal: () => number) => LinearScorer,
  show: (scorer: LinearScorer) => Promise<readonly Ranked[]>,
  seed: string,
): Promise<number[]> {
  const { normal } = createRandom(`propensity ${seed}`);
  const shown = new Map(chosen.map(({ itemId }) => [itemId, 1]));
  for (let i = 1; i < PROPENSITY_DRAWS; i++)
    for (const { itemId } of await show(draw(normal))) {
      const count = shown.get(itemId);
      if (count !== undefined) shown.set(itemId, count + 1);
    }
  return [...shown.values()].map((count) => count / PROPENSITY_DRAWS);
}
