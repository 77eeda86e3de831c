import type { ItemSums } from '../lora/item-effects.ts';
import { itemEffect } from '../lora/item-effects.ts';
import { initialPrior, type PreparedPrior } from '../lora/prior.ts';
import { itemKey } from '../episodes/episode.ts';

/**
 * What consolidation has made of all episodes of a cell: the population prior that new users start from and the item effects.
 * One object in S3, so that it changes as a whole. It holds no user ids.
 */
export interface Skills {
  /** Counts up with every consolidation that changed anything; 0 before the first. */
  readonly version: number;
  readonly prior: PreparedPrior;
  /** Version whose consolidation made `prior`. */
  readonly priorVersion: number;
  readonly items: ItemEffects;
  readonly progress: Progress;
  /** What the evidence supports in place of the configured step size; null where that is as good as any. */
  readonly recommended: RecommendedStepSize | null;
  /** What the fold said of the prior in force when it was put there. */
  readonly evidence: Evidence | null;
}

export interface RecommendedStepSize {
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

export interface Evidence {
  /** Users whose adapters the prior was fitted to. */
  readonly users: number;
  readonly interactions: number;
  /** Users of the validation fold, never fitted to, and their mean log marginal likelihood per reward, before and after. */
  readonly validationUsers: number;
  readonly logLikelihoodBefore: number;
  readonly logLikelihoodAfter: number;
  /** 95 % interval of the gain, by users (Student); of one user, the gain twice. */
  readonly gainInterval: { readonly low: number; readonly high: number };
  /** What this prior and those before it lost on the fold, less what they gained, log likelihood per reward; at least 0. */
  readonly shortfall: number;
}

export const NO_ITEM_EFFECTS: ItemEffects = { sums: new Map(), shrinkage: 20, squares: 0 };
const NO_PROGRESS: Progress = { watermarks: [], episodes: 0, fittedEpisodes: 0, at: 0 };

/** What everyone starts from before the first consolidation. */
export function initialSkills(basisId: string | null, coefficients: number): Skills {
  return {
    version: 0,
    prior: initialPrior(basisId, coefficients),
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
