import { afterAll, beforeAll, expect, test } from 'vitest';
import { search } from '../../../functions/personalize/recommend.ts';
import { CatalogueWriter } from '../../../shared/catalogue/catalogue-writer.ts';
import { VectorSearch } from '../../../shared/client/s3-vectors.ts';
import { parseCatalogueRequest, type SearchRequest } from '../../../shared/contract/catalogue-request.ts';
import { decodeEmbedding } from '../../../shared/feedback/embedding-codec.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { initialPopulationModel } from '../../../shared/population/population-model.ts';
import { combine } from '../../../shared/population/shared-learning.ts';
import { basisOf, CATALOGUE_SETTINGS, randomItems } from '../../support/catalogue.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';
import { recommendServices, rewardsOf } from '../../support/recommend-services.ts';
import { startS3Vectors } from '../../support/s3-vectors.ts';

const items = randomItems(2_000, 'vectors');
const basis = basisOf(items);
const learning = combine({ basis }, initialPopulationModel(basis));
const [empty, full] = [new MemoryObjects(), new MemoryObjects()];
const random = createRandom('vector queries');
const queries = Array.from({ length: 20 }, () => Float32Array.from({ length: 16 }, () => random.normal()));
let exact: Awaited<ReturnType<typeof startS3Vectors>>;
let forgetful: typeof exact;

beforeAll(async () => {
  await new CatalogueWriter(full, CATALOGUE_SETTINGS, { basis, now: () => 0 }).put(items);
  exact = await startS3Vectors();
  forgetful = await startS3Vectors((key) => key.endsWith('7'));
  for (const { client } of [exact, forgetful]) await vectorsIn(client).put(asGiven);
});
afterAll(async () => {
  await exact?.stop();
  await forgetful?.stop();
});

const asGiven = items.map(({ itemId, embedding, attributes }) => ({
  itemId,
  embedding: Float32Array.from(embedding),
  metadata: { genre: attributes.genre as string },
}));

/** `attune.search` with the same answers as the function, with or without a catalogue. */
const searchIn = (objects: MemoryObjects) => async (request: object) => {
  const services = await recommendServices(objects, rewardsOf(items.slice(0, 40)), learning);
  const parsed = parseCatalogueRequest(
    { action: 'search', excludeInteracted: false, ...request },
    services.settings,
  );
  const { queryVector, ...answer } = await search(parsed as SearchRequest, services);
  if (queryVector === undefined) return answer;
  return { ...answer, queryVector: decodeEmbedding(queryVector, 16, 'queryVector') };
};

function vectorsIn(client: typeof exact.client) {
  const attune = {
    search: ({ query, ...request }: { query: unknown }) =>
      searchIn(empty)({ ...request, query: [...(query as Float32Array)] }),
  };
  return new VectorSearch({ attune, client, vectorBucketName: 'b', indexName: 'i' } as never);
}

/** Share of the exact scan's best 20 that a search over vectors finds. */
async function recallOf(client: typeof exact.client): Promise<number> {
  let found = 0;
  for (const query of queries) {
    const best = await searchIn(full)({ userId: 'ada', query: [...query], limit: 20 });
    const ids = new Set(
      (await vectorsIn(client).search({ userId: 'ada', query })).map(({ itemId }) => itemId),
    );
    found += best.items.filter(({ itemId }) => ids.has(itemId)).length;
  }
  return found / (20 * queries.length);
}

test('a search over vectors finds what the exact scan of the catalogue finds, without a catalogue', async () => {
  expect(exact.size()).toBe(2_000);
  expect(exact.requests.filter((name) => name === 'PutVectors')).toHaveLength(4);
  expect(await recallOf(exact.client)).toBeGreaterThan(0.98);
});

test('the recall of a search over vectors falls only by the items that the index misses', async () => {
  const recall = await recallOf(forgetful.client);
  expect(recall).toBeLessThan(0.95);
  expect(recall).toBeGreaterThan(0.85);
});

test('a search over vectors gives exactly the scores of the catalogue, in their order', async () => {
  const [query] = queries;
  const found = await vectorsIn(exact.client).search({ userId: 'ada', query: query!, limit: 100 });
  const scores = found.map(({ score }) => score);
  expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  const all = await searchIn(full)({ userId: 'ada', query: [...query!], limit: 500 });
  const scoreOf = new Map(all.items.map(({ itemId, score }) => [itemId, score]));
  // Embeddings of the catalogue are of unit length up to float16.
  for (const { itemId, score } of found) expect(score / scoreOf.get(itemId)!).toBeCloseTo(1, 2);
  const other = await vectorsIn(exact.client).search({ userId: 'new', query: query!, limit: 100 });
  expect(other.map(({ itemId }) => itemId)).not.toEqual(found.map(({ itemId }) => itemId));
});

test('a search over vectors passes on the filter, accepts an empty answer, and checks its limits', async () => {
  const [query] = queries;
  const vectors = vectorsIn(exact.client);
  const comedies = await vectors.search({ userId: 'ada', query: query!, filter: { genre: 'comedy' } });
  expect(comedies).toHaveLength(20);
  for (const { itemId } of comedies) expect(Number(itemId.slice(5)) % 3).toBe(0);
  expect(await vectors.search({ userId: 'ada', query: query!, filter: { genre: 'none' } })).toEqual([]);
  await expect(vectors.search({ userId: 'ada', query: query!, limit: 101 })).rejects.toThrow(
    'limit: found 101, expected a whole number from 1 to 100',
  );
  await expect(vectors.put([{ itemId: 'x', embedding: new Float32Array(16) }])).rejects.toThrow(
    'embedding of x: found a vector without a direction',
  );
});
