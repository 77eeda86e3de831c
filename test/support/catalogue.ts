import type { CatalogueItem } from '../../shared/catalogue/item.ts';
import { parseItem } from '../../shared/catalogue/item.ts';
import { basisFromEmbeddings } from '../../shared/lora/basis.ts';
import { createRandom } from '../../shared/lora/random.ts';

export const CATALOGUE_SETTINGS = { embeddingDim: 16, embeddingModel: 'test-model' } as const;

export const GENRES = ['comedy', 'drama', 'horror'] as const;

/** Items `item-0` … with random embeddings, a genre and a year each. */
export function randomItems(count: number, seed: number | string): CatalogueItem[] {
  const random = createRandom(`catalogue ${seed}`);
  return Array.from({ length: count }, (_, i) =>
    parseItem(
      {
        itemId: `item-${i}`,
        embedding: Array.from({ length: CATALOGUE_SETTINGS.embeddingDim }, () => random.normal()),
        attributes: { genre: GENRES[i % 3]!, year: 1980 + (i % 40), tags: [`tag-${i % 5}`, `tag-${i % 7}`] },
      },
      CATALOGUE_SETTINGS.embeddingDim,
      'item',
    ),
  );
}

/** A basis of these items. */
export function basisOf(items: readonly CatalogueItem[], rank = 2) {
  return basisFromEmbeddings(
    items.map(({ embedding }) => Float32Array.from(embedding)),
    { rank, scalingFactor: 8, seed: 1 },
  );
}
