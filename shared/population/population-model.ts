import type { Evidence } from '../episodes/cell-strategy.ts';
import { itemKey } from '../episodes/episode.ts';
import type { Basis } from '../lora/basis.ts';
import type { PreparedChoice } from '../lora/choice.ts';
import type { ItemSums } from '../lora/item-effects.ts';
import { itemEffect } from '../lora/item-effects.ts';
import { initialPriorOf, type PreparedPrior } from '../lora/prior.ts';

/**
 * What consolidation has made of all episodes of a cell: the population prior that new users start from and the item effects.
 * One object in S3, so that it changes as a whole. It holds no user ids.
 */
export interface PopulationModel {
  /** Counts up with every consolidation that changed anything; 0 before the first. */
  readonly version: number;
  readonly prior: PreparedPrior;
  /** Where rewards only say what users picked: the choice model under the basis of `prior`; null where rewards differ. */
  readonly choice: PreparedChoice | null;
  /** Version whose consolidation made `prior`. */
  readonly priorVersion: number;
  readonly items: ItemEffects;
  readonly progress: Progress;
  /** What the evidence supports in place of the configured learning rate; null where that is as good as any. */
  readonly recommended: RecommendedLearningRate | null;
  /** What the fold said of the prior in force when it was put there. */
  readonly evidence: Evidence | null;
}

export interface RecommendedLearningRate {
  readonly learningRate: number;
  /** The configured one that it was found better than; it is void while another one is configured. */
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

/** How far consolidation has come; the next run continues from here. */
export interface Progress {
  /** Index position of the last episode taken in, per shard; see docs/reasoning-bank.md. */
  readonly watermarks: readonly string[];
  readonly episodes: number;
  /** Episodes at the last attempt to fit a prior. */
  readonly fittedEpisodes: number;
  /** When the last run that changed anything ended, epoch milliseconds. */
  readonly at: number;
}

export const NO_ITEM_EFFECTS: ItemEffects = { sums: new Map(), shrinkage: 20, squares: 0 };
const NO_PROGRESS: Progress = { watermarks: [], episodes: 0, fittedEpisodes: 0, at: 0 };

/** What everyone starts from before the first consolidation. */
export function initialPopulationModel(basis: Basis | null): PopulationModel {
  return {
    version: 0,
    prior: initialPriorOf(basis),
    choice: null,
    priorVersion: 0,
    items: NO_ITEM_EFFECTS,
    progress: NO_PROGRESS,
    recommended: null,
    evidence: null,
  };
}

/** β of an item; 0 when the item has no id or nothing is known of it. */
export function effectOfItem(items: ItemEffects, itemId: string | undefined): number {
  return itemId === undefined ? 0 : itemEffect(items.sums.get(itemKey(itemId)), items.shrinkage);
}

/** What an item has before its first pick, so that its popularity has a logarithm. */
const UNSEEN = 0.5;

/**
 * The item's part of a score: its effect on rewards; or under the choice model the logarithm of its popularity, which is 0 for an
 * item that nobody picked or that has no id.
 */
export function itemPart(population: PopulationModel, itemId: string | undefined): number {
  return itemId === undefined ? 0 : itemPartOfKey(population, itemKey(itemId));
}

/** {@link itemPart} of the item with a key; 0 for every key that `items` does not have. */
export function itemPartOfKey({ items, choice }: PopulationModel, key: bigint): number {
  const sums = items.sums.get(key);
  if (choice === null) return itemEffect(sums, items.shrinkage);
  return Math.log((sums?.count ?? 0) + UNSEEN) - Math.log(UNSEEN);
}
