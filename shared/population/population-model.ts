import type { Evidence } from '../episodes/cell-strategy.ts';
import type { Basis } from '../lora/basis.ts';
import type { PreparedChoice } from '../lora/choice.ts';
import type { ItemSums } from '../lora/item-effects.ts';
import { itemEffect } from '../lora/item-effects.ts';
import { meanPickWeight } from '../lora/pick-weights.ts';
import { initialPriorOf, type PreparedPrior } from '../lora/prior.ts';
import { NO_RECENT_PICKS, popularityBy, type RecentPicks } from '../lora/recent-picks.ts';

/**
 * What consolidation learned from all episodes of a cell: the prior of new users and the item
 * effects. One object in S3, so that it changes as a whole. It holds no user ids.
 */
export interface PopulationModel {
  /** Number of consolidations that changed anything; 0 before the first. */
  readonly version: number;
  readonly prior: PreparedPrior;
  /**
   * The choice model under the basis of `prior`; null when nothing was picked. It ranks the
   * catalogue. Where users only pick items it scores candidates, too.
   */
  readonly choice: PreparedChoice | null;
  /** Version whose consolidation made `prior`. */
  readonly priorVersion: number;
  readonly items: ItemEffects;
  /** How often items were picked of late. */
  readonly recent: RecentPicks;
  readonly progress: Progress;
  /** The learning rate to use instead of the configured one; null when the configured one stays. */
  readonly recommended: RecommendedLearningRate | null;
  /** Evidence on which the current prior was accepted. */
  readonly evidence: Evidence | null;
}

export interface RecommendedLearningRate {
  readonly learningRate: number;
  /**
   * The configured learning rate that it was compared with. The recommendation is void while
   * another one is configured.
   */
  readonly insteadOf: number;
}

/** Item effects of a cell: β = s/(n + k). */
export interface ItemEffects {
  readonly sums: ReadonlyMap<bigint, ItemSums>;
  /** k. */
  readonly shrinkage: number;
  /** Σ of all squared residuals, for k. */
  readonly squares: number;
}

/** Progress of consolidation. The next run continues from here. */
export interface Progress {
  /** Index position of the last episode read, per shard; see docs/reasoning-bank.md. */
  readonly watermarks: readonly string[];
  readonly episodes: number;
  /** Number of episodes at the last fit of a prior. */
  readonly fittedEpisodes: number;
  /** End of the last run that changed anything, epoch milliseconds. */
  readonly at: number;
}

export const NO_ITEM_EFFECTS: ItemEffects = { sums: new Map(), shrinkage: 20, squares: 0 };
const NO_PROGRESS: Progress = { watermarks: [], episodes: 0, fittedEpisodes: 0, at: 0 };

/** The population model before the first consolidation. */
export function initialPopulationModel(basis: Basis | null): PopulationModel {
  return {
    version: 0,
    prior: initialPriorOf(basis),
    choice: null,
    priorVersion: 0,
    items: NO_ITEM_EFFECTS,
    recent: NO_RECENT_PICKS,
    progress: NO_PROGRESS,
    recommended: null,
    evidence: null,
  };
}

/** Whether users only pick items, so that nothing but their picks can be learned from. */
export function learnsFrom({ choice }: Pick<PopulationModel, 'choice'>): 'rewards' | 'picks' {
  return choice !== null && choice.rewards === null ? 'picks' : 'rewards';
}

/** β of an item by its key; 0 when it has none or is unknown. */
export function effectOfItem(items: ItemEffects, key: bigint | undefined): number {
  return key === undefined ? 0 : itemEffect(items.sums.get(key), items.shrinkage);
}

/** Picks that every item starts with, so that the logarithm of its popularity is finite. */
const UNSEEN = 0.5;

/**
 * The item's part of a score: its effect on rewards, or with the choice model the logarithm of its
 * popularity. Both are 0 for a key that `items` does not have.
 */
export function itemPartOfKey(population: PopulationModel, key: bigint): number {
  const { items, choice } = population;
  const sums = items.sums.get(key);
  if (choice === null) return itemEffect(sums, items.shrinkage);
  if (sums === undefined) return 0;
  const picks = popularityIn(population)(key, sums.count) * meanPickWeight(sums, choice.rewards);
  return Math.log(picks + UNSEEN) - Math.log(UNSEEN);
}

const knownPopularity = new WeakMap<PopulationModel, ReturnType<typeof popularityBy>>();

/** The sums over all items are made once per population model. */
function popularityIn(population: PopulationModel): ReturnType<typeof popularityBy> {
  const known = knownPopularity.get(population);
  if (known !== undefined) return known;
  let total = 0;
  for (const { count } of population.items.sums.values()) total += count;
  const made = popularityBy(population.recent, total);
  knownPopularity.set(population, made);
  return made;
}
