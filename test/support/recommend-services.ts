import type { RecommendServices } from '../../functions/personalize/recommend.ts';
import { applyEvents } from '../../functions/update-adapters/apply-events.ts';
import { AdapterCache } from '../../shared/adapters/adapter-cache.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { CatalogueReader } from '../../shared/catalogue/catalogue-reader.ts';
import type { CatalogueItem } from '../../shared/catalogue/item.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import { userKey } from '../../shared/config/user-key.ts';
import type { Interaction } from '../../shared/feedback/event.ts';
import type { SharedLearning } from '../../shared/population/shared-learning.ts';
import { CATALOGUE_SETTINGS } from './catalogue.ts';
import { SETTINGS } from './container.ts';
import { MemoryObjects } from './memory-objects.ts';

/** The settings of a deployment with the items and the basis of catalogue.ts. */
export const RECOMMEND_SETTINGS: FunctionSettings = { ...SETTINGS, ...CATALOGUE_SETTINGS, scalingFactor: 8 };

/** Rewards of a user who likes the items whose first number is positive. */
export function rewardsOf(items: readonly CatalogueItem[]): Interaction[] {
  return items.map(({ itemId, embedding }) => ({
    itemId,
    embedding: Float32Array.from(embedding),
    reward: embedding[0]! > 0 ? 1 : 0,
  }));
}

/**
 * The services of the read function in memory, with the adapter of ada, who gave these
 * interactions.
 */
export async function recommendServices(
  objects: MemoryObjects,
  interactions: readonly Interaction[],
  learning: SharedLearning,
  settings = RECOMMEND_SETTINGS,
): Promise<RecommendServices> {
  const adapters = new AdapterStore(new MemoryObjects());
  const event = {
    schemaVersion: 1,
    eventId: 'e',
    userId: 'ada',
    occurredAt: '2026-01-01T00:00:00Z',
    interactions,
  } as const;
  const { adapter } = applyEvents(undefined, [event], learning, {
    userKey: userKey('ada'),
    settings,
    now: 1,
  });
  await adapters.commit(adapter!, undefined);
  return {
    settings,
    adapters,
    cache: new AdapterCache(),
    learning: async () => learning,
    freshLearning: async () => learning,
    neighbours: async () => undefined,
    catalogue: new CatalogueReader(objects, CATALOGUE_SETTINGS),
    now: () => 0,
  };
}
