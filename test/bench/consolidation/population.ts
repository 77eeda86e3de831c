import type { FeedbackEvent } from '../../../shared/feedback/event.ts';
import { createRandom, type Random } from '../../../shared/lora/random.ts';

const ITEMS = 2_000;
/** Directions in which items differ. */
const TOPICS = 24;

/** Users whose tastes scatter around a common one, over items that differ in a few directions. */
export function createPopulation(dim: number) {
  const random = createRandom('consolidation');
  const topics = Array.from({ length: TOPICS }, () => normals(random, dim));
  const common = normals(random, TOPICS);
  const loadings = Array.from({ length: ITEMS }, () => normals(random, TOPICS));
  const items = loadings.map((loading) => {
    const item = Float32Array.from(normals(random, dim), (value) => 0.3 * value + 0.1);
    loading.forEach((weight, topic) => {
      topics[topic]!.forEach((value, i) => {
        item[i]! += (weight * value) / Math.sqrt(1 + topic);
      });
    });
    return item;
  });

  return {
    items,
    event(userId: string, index: number, interactions: number): FeedbackEvent {
      const taste = normals(createRandom(userId), TOPICS).map((value, topic) => common[topic]! + value);
      const draw = createRandom(`${userId} ${index}`);
      return {
        schemaVersion: 1,
        eventId: `${index}`,
        userId,
        occurredAt: '2026-01-01T00:00:00Z',
        interactions: Array.from({ length: interactions }, () => {
          const item = draw.integer(ITEMS);
          const liking = taste.reduce((sum, value, topic) => sum + value * loadings[item]![topic]!, 0);
          const reward = 1 / (1 + Math.exp(-0.3 * (liking + draw.normal())));
          return { itemId: `item ${item}`, embedding: items[item]!, reward };
        }),
      };
    },
  };
}

function normals(random: Random, length: number): number[] {
  return Array.from({ length }, () => random.normal());
}
