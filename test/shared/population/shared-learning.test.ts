import { describe, expect, it } from 'vitest';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { initialPopulationModel } from '../../../shared/population/population-model.ts';
import { learningObjects, readSharedLearning } from '../../../shared/population/shared-learning.ts';
import { Lease } from '../../../shared/storage/lease.ts';
import { SETTINGS } from '../../support/container.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';

const random = createRandom('learning objects');
const items = Array.from({ length: 90 }, () => Float32Array.from({ length: 16 }, () => random.normal()));
const { rank, scalingFactor, embeddingModel } = SETTINGS;
const basis = basisFromEmbeddings(items, { rank, scalingFactor, seed: 1 });

async function stored() {
  const learning = learningObjects(new MemoryObjects(), SETTINGS);
  await learning.basis.write({ basis, embeddingModel, learnedFrom: 90 });
  const population = initialPopulationModel(basis);
  const items = { sums: new Map([[7n, { sum: 1, count: 2 }]]), shrinkage: 20, squares: 1 };
  await learning.population.write({ ...population, version: 4, priorVersion: 4, items });
  return learning;
}

it('objects that only consolidation reads have their own prefix', async () => {
  const objects = new MemoryObjects();
  const { basisSample } = learningObjects(objects, SETTINGS);
  await basisSample.write({ embeddings: [Float16Array.of(1, 0)], watermarks: [] });
  await new Lease(objects, 'cell').take(0, 1, false);
  for (const key of objects.contents.keys()) expect(key).toMatch(/^consolidation\/.*\.(sample|lease)$/);
  expect(objects.contents.size).toBe(2);
});

describe('what all users share', () => {
  it('is the basis, with the prior over it, under the settings that it was made for', async () => {
    expect(await readSharedLearning(await stored(), SETTINGS)).toMatchObject({
      basis: { id: basis.id },
      population: { priorVersion: 4, prior: { basisId: basis.id } },
      samplesEmbeddings: true,
      hasBasis: true,
    });
  });

  it.each([{ scalingFactor: 4 }, { embeddingModel: 'another' }])(
    'is neither under %o, but item effects stay',
    async (change) => {
      expect(await readSharedLearning(await stored(), { ...SETTINGS, ...change })).toMatchObject({
        basis: null,
        model: { basis: null, carryOvers: [] },
        population: { version: 4, priorVersion: 0, prior: { basisId: null }, items: { squares: 1 } },
        samplesEmbeddings: false,
        hasBasis: true,
      });
    },
  );
});
