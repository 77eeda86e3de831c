import { expect, test } from 'vitest';
import { storeCatalogueFeatures } from '../../../functions/consolidate-patterns/catalogue-features.ts';
import { featuresKey, MANIFEST_KEY } from '../../../shared/catalogue/catalogue-keys.ts';
import { CatalogueReader } from '../../../shared/catalogue/catalogue-reader.ts';
import { CatalogueWriter } from '../../../shared/catalogue/catalogue-writer.ts';
import { learningObjects } from '../../../shared/population/shared-learning.ts';
import { basisOf, CATALOGUE_SETTINGS, randomItems } from '../../support/catalogue.ts';
import { SETTINGS } from '../../support/container.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';

test('consolidation stores features under a new basis while time allows and the catalogue is readable', async () => {
  const items = randomItems(9_000, 'features');
  const basis = basisOf(items.slice(0, 300));
  const settings = { ...SETTINGS, ...CATALOGUE_SETTINGS, rank: 2, scalingFactor: 8 };
  const objects = new MemoryObjects();
  await new CatalogueWriter(objects, settings, { basis: null, now: () => 0 }).put(items);
  const learning = learningObjects(objects, settings);
  const corrupt: unknown[] = [];
  const services = {
    learning,
    settings,
    objects,
    now: () => 0,
    onCorrupt: (error: unknown) => corrupt.push(error),
  };
  expect(await storeCatalogueFeatures(services, () => true)).toBe(0);

  await learning.basis.write({ basis, embeddingModel: settings.embeddingModel });
  let left = 1;
  expect(await storeCatalogueFeatures(services, () => left-- > 0)).toBe(1);
  expect(await storeCatalogueFeatures(services, () => true)).toBe(3);
  const { shards } = (await new CatalogueReader(objects, settings).load(basis))!;
  for (const { name } of shards) expect(objects.contents.has(featuresKey(name, basis.id))).toBe(true);

  objects.contents.set(MANIFEST_KEY, { body: new Uint8Array(8), etag: '"x"' });
  expect(await storeCatalogueFeatures(services, () => true)).toBe(0);
  expect(corrupt).toHaveLength(1);
});
