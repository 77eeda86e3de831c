import { beforeAll, describe, expect, test } from 'vitest';
import { propensityDraws } from '../../../functions/personalize/propensity.ts';
import {
  type RecommendServices,
  recommend,
  search,
  similar,
} from '../../../functions/personalize/recommend.ts';
import { CatalogueReader } from '../../../shared/catalogue/catalogue-reader.ts';
import { CatalogueWriter } from '../../../shared/catalogue/catalogue-writer.ts';
import type { FunctionSettings } from '../../../shared/config/settings.ts';
import type { ScoredItem } from '../../../shared/contract/answers.ts';
import {
  parseCatalogueRequest,
  type RecommendRequest,
  type SearchRequest,
  type SimilarRequest,
} from '../../../shared/contract/catalogue-request.ts';
import { itemKey } from '../../../shared/episodes/episode.ts';
import { decodeEmbedding } from '../../../shared/feedback/embedding-codec.ts';
import type { Interaction } from '../../../shared/feedback/event.ts';
import { initialChoicePrior, prepareChoice } from '../../../shared/lora/choice.ts';
import type { RewardSpread } from '../../../shared/lora/pick-weights.ts';
import { initialPopulationModel } from '../../../shared/population/population-model.ts';
import { combine, type SharedLearning } from '../../../shared/population/shared-learning.ts';
import { personalize } from '../../../shared/serving/personalize.ts';
import { basisOf, CATALOGUE_SETTINGS, GENRES, randomItems } from '../../support/catalogue.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';
import { RECOMMEND_SETTINGS, recommendServices, rewardsOf } from '../../support/recommend-services.ts';

const items = randomItems(400, 'recommend');
const basis = basisOf(items);
const embeddingOf = new Map(items.map(({ itemId, embedding }) => [itemId, Float32Array.from(embedding)]));
const objects = new MemoryObjects();

beforeAll(async () => {
  await new CatalogueWriter(objects, CATALOGUE_SETTINGS, { basis, now: () => 0 }).put(items);
});

const fromOthers = combine(
  { basis },
  {
    ...initialPopulationModel(basis),
    version: 3,
    items: {
      sums: new Map([
        [itemKey('item-5'), { sum: 30, count: 40 }],
        [itemKey('item-6'), { sum: 20, count: 40 }],
      ]),
      shrinkage: 20,
      squares: 0,
    },
  },
);

function withChoice(rewards: RewardSpread | null): SharedLearning {
  const tempering = { perPick: 0.5, saturation: 0.02 };
  const prior = initialChoicePrior(basis.moments!, 4);
  const choice = prepareChoice(prior, basis.moments!, tempering, rewards);
  const { basis: same, population } = fromOthers;
  return combine({ basis: same! }, { ...population, choice });
}
const fromPicks = withChoice(null);
const fromRatings = withChoice({ mean: 0.5, deviation: 0.5 });

/** Whether the user likes an item. */
const liked = (embedding: Float32Array) => embedding[0]! > 0;

const services = (
  interactions: readonly Interaction[] = rewardsOf(items.slice(0, 40)),
  learning: SharedLearning = fromOthers,
  changed: Partial<FunctionSettings> = {},
) => recommendServices(objects, interactions, learning, { ...RECOMMEND_SETTINGS, ...changed });

const asks = (request: object = {}) =>
  parseCatalogueRequest(
    { action: 'recommend', userId: 'ada', ...request },
    RECOMMEND_SETTINGS,
  ) as RecommendRequest;
const asksSimilar = (request: object = {}) =>
  parseCatalogueRequest(
    { action: 'similar', itemId: 'item-0', ...request },
    RECOMMEND_SETTINGS,
  ) as SimilarRequest;
const idsOf = (list: readonly { itemId: string }[]) => list.map(({ itemId }) => itemId);

/** All items by the scores that personalize gives them as candidates. */
async function byPersonalize(from: RecommendServices, userId = 'ada') {
  const candidates = [...embeddingOf].map(([itemId, embedding]) => ({ itemId, embedding }));
  const answer = await personalize({ userId, candidates, answer: 'scores', explain: true }, from);
  return answer.items as readonly ScoredItem[];
}

describe('recommend', () => {
  test('returns the best items that the user has not met, with the scores of personalize', async () => {
    const from = await services();
    const answer = await recommend(asks({ limit: 25, explain: true }), from);
    expect(answer).toMatchObject({
      source: 'adapter',
      adapterVersion: 1,
      catalogueVersion: 1,
      matching: 360,
    });
    const met = new Set(idsOf(items.slice(0, 40)));
    const expected = (await byPersonalize(from)).filter(({ itemId }) => !met.has(itemId!)).slice(0, 25);
    expect(answer.items.every(({ itemId }) => !met.has(itemId))).toBe(true);
    answer.items.forEach(({ score, parts }, rank) => {
      expect(score).toBeCloseTo(expected[rank]!.score, 3);
      expect(parts!.base + parts!.item + parts!.user).toBeCloseTo(score, 12);
      expect(parts!.popularity).toBe(0);
    });
    const others = await recommend(asks({ userId: 'new', limit: 25 }), from);
    expect(idsOf(answer.items)).not.toEqual(idsOf(others.items));
  });

  test('adds items that others picked together with the picks of the user, as personalize does', async () => {
    const [first, second, third] = ['item-41', 'item-90', 'item-7'].map(itemKey);
    const picked = itemKey(items.slice(0, 40).find(({ itemId }) => liked(embeddingOf.get(itemId)!))!.itemId);
    const keys = BigUint64Array.of(first!, second!, third!, picked).sort();
    const lists = Array.from(keys, (key) =>
      key === picked ? [first!, second!].map((other) => keys.indexOf(other)) : [],
    );
    let end = 0;
    const neighbours = {
      keys,
      ends: Uint32Array.from(lists, ({ length }) => (end += length)),
      neighbours: Uint32Array.from(lists.flat()),
      weights: Float16Array.of(50, 40),
    };
    const from = { ...(await services(undefined, fromPicks)), neighbours: async () => neighbours };
    const answer = await recommend(asks({ limit: 100, explain: true }), from);
    expect(idsOf(answer.items.slice(0, 2))).toEqual(['item-41', 'item-90']);
    expect(answer.items.slice(0, 3).map(({ parts }) => parts!.together)).toEqual([50, 40, 0]);
    const expected = new Map((await byPersonalize(from)).map((item) => [item.itemId, item]));
    for (const { itemId, score, parts } of answer.items) {
      const same = expected.get(itemId)!;
      expect(score).toBeCloseTo(same.score, 3);
      expect(parts!.together).toBe(same.parts!.together);
      expect(parts!.user).toBeCloseTo(same.parts!.user, 3);
    }
    const heldOut = await services(undefined, fromPicks, { holdout: 1 });
    const without = await recommend(asks({ limit: 2 }), { ...heldOut, neighbours: from.neighbours });
    expect(idsOf(without.items)).not.toContain('item-41');
  });

  test('ranks by what users pick where rewards differ, while candidates get predicted rewards', async () => {
    const from = await services(undefined, fromRatings);
    const answer = await recommend(asks({ limit: 400, explain: true, excludeInteracted: false }), from);
    // Likes and dislikes weigh 1 and 0 here, so that it is the list of the same clicks.
    const { items: picks } = await recommend(
      asks({ limit: 400, explain: true, excludeInteracted: false }),
      await services(undefined, fromPicks),
    );
    const byId = new Map(picks.map((item) => [item.itemId, item]));
    for (const { itemId, parts, because } of answer.items) {
      expect(parts!.base).toBe(0);
      expect(parts!.item).toBe(0);
      expect(parts!.user).toBeCloseTo(byId.get(itemId)!.parts!.user, 6);
      expect(because!.items.every(({ itemId: past }) => liked(embeddingOf.get(past)!))).toBe(true);
    }
    // 40 rewards that were .75 above expectation count more than as many as expected.
    const popularity = new Map(answer.items.map(({ itemId, parts }) => [itemId, parts!.popularity]));
    expect(popularity.get('item-5')).toBeCloseTo(Math.log(50 + 0.5) - Math.log(0.5), 9);
    expect(popularity.get('item-0')).toBe(0);
    const scored = await byPersonalize(from);
    const rewards = new Map((await byPersonalize(await services())).map((item) => [item.itemId, item]));
    for (const { itemId, score, parts } of scored) {
      expect(score).toBe(rewards.get(itemId)!.score);
      expect(parts!.popularity).toBe(0);
    }
    expect(idsOf(answer.items)).not.toEqual(scored.map(({ itemId }) => itemId));
    const similarity = await similar(asksSimilar({ userId: 'ada', limit: 3, explain: true }), from);
    for (const { parts } of similarity.items) expect(parts!.base).toBe(0);
  });

  test.each([
    ['sgd', { learner: 'sgd' as const }],
    ['target embeddings', {}],
  ])(
    'agrees with personalize for users whose scores are not linear in the features: %s',
    async (name, changed) => {
      const target = {
        itemId: 'item-9',
        embedding: embeddingOf.get('item-9')!,
        target: embeddingOf.get('item-8')!,
      };
      const from = await services(name === 'sgd' ? undefined : [target], fromOthers, changed);
      const answer = await recommend(asks({ limit: 400, excludeInteracted: false }), from);
      const expected = new Map((await byPersonalize(from)).map(({ itemId, score }) => [itemId, score]));
      expect(answer.items).toHaveLength(400);
      for (const { itemId, score } of answer.items) expect(score).toBeCloseTo(expected.get(itemId)!, 6);
    },
  );

  test('recommends popular items to a user without history', async () => {
    const answer = await recommend(asks({ userId: 'new', limit: 2 }), await services());
    expect(answer).toMatchObject({ source: 'warm-start', adapterVersion: 0, matching: 400 });
    expect(idsOf(answer.items)).toEqual(['item-5', 'item-6']);
  });

  test('recommends popular items to held-out users, without taste', async () => {
    const from = await services(undefined, fromOthers, { holdout: 1 });
    const answer = await recommend(asks({ limit: 2, excludeInteracted: false }), from);
    expect(answer.source).toBe('holdout');
    expect(idsOf(answer.items)).toEqual(['item-5', 'item-6']);
  });

  test('works before there is a basis or feedback', async () => {
    const from = await services(undefined, combine(undefined, undefined));
    const answer = await recommend(asks({ limit: 3 }), from);
    expect(answer).toMatchObject({ source: 'base', matching: 360 });
    expect(answer.items).toHaveLength(3);
  });

  test('applies the filter and the exclusions, and counts the matching items', async () => {
    const filter = {
      all: [
        { attribute: 'genre', in: ['horror'] },
        { attribute: 'year', gte: 2018 },
      ],
    };
    const answer = await recommend(asks({ filter, exclude: ['item-38'], limit: 100 }), await services());
    const expected = items
      .slice(40)
      .filter(({ attributes }) => attributes.genre === 'horror' && Number(attributes.year) >= 2018);
    expect(idsOf(answer.items).sort()).toEqual(idsOf(expected).sort());
    expect(answer.matching).toBe(expected.length);
  });

  test('diversity trades score for items that are less similar', async () => {
    const from = await services();
    const similarityWithin = (ids: readonly string[]) => {
      let sum = 0;
      for (const a of ids)
        for (const b of ids)
          if (a !== b) sum += embeddingOf.get(a)!.reduce((dot, x, i) => dot + x * embeddingOf.get(b)![i]!, 0);
      return sum;
    };
    const plain = await recommend(asks({ limit: 10 }), from);
    const diverse = await recommend(asks({ limit: 10, diversity: 0.7 }), from);
    expect(diverse.items[0]).toEqual(plain.items[0]);
    expect(similarityWithin(idsOf(diverse.items))).toBeLessThan(0.5 * similarityWithin(idsOf(plain.items)));
    expect((await recommend(asks({ limit: 10, diversity: 0 }), from)).items).toEqual(plain.items);
  });

  test('a cap limits items per attribute value, and fills up with lower-ranked items', async () => {
    const from = await services();
    const maxPerValue = { attribute: 'genre', count: 2 };
    const answer = await recommend(asks({ limit: 6, maxPerValue }), from);
    const genres = answer.items.map(({ itemId }) => items[Number(itemId.slice(5))]!.attributes.genre);
    for (const genre of GENRES) expect(genres.filter((found) => found === genre)).toHaveLength(2);
    const exhausted = await recommend(asks({ limit: 20, maxPerValue }), from);
    expect(exhausted.items).toHaveLength(6);
  });

  test.each([
    ['rewards', fromOthers],
    ['picks', fromPicks],
  ])('names the past items that pulled a score most: %s', async (name, learning) => {
    const meet = (count: number) =>
      items.slice(0, count).map(({ itemId }, i) => ({
        itemId,
        embedding: embeddingOf.get(itemId)!,
        reward: (i % 4) / 4 + 0.25,
      }));
    const few = await recommend(asks({ limit: 9, explain: true }), await services(meet(5), learning));
    for (const { parts, because } of few.items) {
      // All past items are named, so `rest` is zero up to the 16 bits of a feature.
      expect(idsOf(because!.items).sort()).toEqual(idsOf(items.slice(0, 5)));
      expect(because!.rest).toBeCloseTo(0, 4);
      const pulls = because!.items.map(({ pull }) => pull);
      expect(pulls.reduce((sum, pull) => sum + pull, because!.prior)).toBeCloseTo(parts!.user, 4);
      expect(pulls.map(Math.abs)).toEqual(pulls.map(Math.abs).sort((x, y) => y - x));
      expect(Math.abs(pulls[0]!)).toBeGreaterThan(1e-3);
      expect(name === 'picks' ? parts!.item : parts!.popularity).toBe(0);
    }
    const many = await recommend(asks({ limit: 1, explain: true }), await services(meet(40), learning));
    expect(many.items[0]!.because!.items).toHaveLength(5);
    expect(Math.abs(many.items[0]!.because!.rest)).toBeGreaterThan(1e-3);
  });

  test('recommendations for users without feedback name no past items', async () => {
    const answer = await recommend(asks({ userId: 'new', explain: true }), await services());
    expect(answer.items[0]).toHaveProperty('parts');
    expect(answer.items[0]).not.toHaveProperty('because');
  });

  test('excludes items by time and kind of the interactions of the user', async () => {
    const from = await services([
      { itemId: 'item-1', embedding: embeddingOf.get('item-1')!, reward: 1 },
      { itemId: 'item-2', embedding: embeddingOf.get('item-2')!, reward: 0.5, watched: true },
    ]);
    const day = 86_400_000;
    const left = async (which: object, now = Date.parse('2026-01-08T00:00:00Z')) => {
      const request = asks({ ...which, limit: 400 });
      const ids = new Set(idsOf((await recommend(request, { ...from, now: () => now })).items));
      return ['item-1', 'item-2'].filter((id) => !ids.has(id));
    };
    expect(await left({ excludeInteracted: false, interactedWithinDays: 9 })).toEqual([]);
    expect(await left({})).toEqual(['item-1', 'item-2']);
    expect(await left({ interactedWithinDays: 7 })).toEqual(['item-1', 'item-2']);
    expect(await left({ interactedWithinDays: 6.9 })).toEqual([]);
    expect(await left({ interactedWithinDays: 1 }, Date.parse('2026-01-01T00:00:00Z') + day)).toHaveLength(2);
    expect(await left({ interactedBy: ['watch'] })).toEqual(['item-2']);
    expect(await left({ interactedBy: ['target'] })).toEqual([]);
  });

  test('explores by draws of the user’s coefficients, which a request id repeats', async () => {
    const from = await services();
    const asked = (requestId: string) =>
      recommend(asks({ explore: true, requestId, limit: 10, explain: true }), from);
    const first = await asked('a');
    expect(first.recommendationId).toBe('a');
    expect(await asked('a')).toEqual(first);
    const lists = await Promise.all(['b', 'c', 'd', 'e'].map(asked));
    expect(new Set([first, ...lists].map(({ items: list }) => idsOf(list).join())).size).toBeGreaterThan(1);
    for (const { score, parts, because } of first.items) {
      expect(parts!.base + parts!.item + parts!.user).toBeCloseTo(score, 12);
      expect(because).toBeUndefined();
    }
  });

  test('gives every answer an id, a new one when the request has none', async () => {
    const from = await services();
    const [first, second] = [await recommend(asks(), from), await recommend(asks(), from)];
    expect(first.recommendationId).toMatch(/^[0-9a-f-]{36}$/);
    expect(second.recommendationId).not.toBe(first.recommendationId);
    expect((await recommend(asks({ requestId: 'a' }), from)).recommendationId).toBe('a');
  });

  test('returns the propensity of each item, up to the accuracy of the draws', async () => {
    const from = await services();
    const asked = (requestId: string) => recommend(asks({ explore: true, requestId, limit: 5 }), from);
    const answer = await asked('x');
    expect(await asked('x')).toEqual(answer);
    const draws = answer.propensityDraws!;
    expect(draws).toBe(200);
    const requests = 300;
    const counts = new Map<string, number>();
    for (let i = 0; i < requests; i++) {
      const { items: shown } = await asked(`r${i}`);
      for (const { itemId } of shown) counts.set(itemId, (counts.get(itemId) ?? 0) + 1);
    }
    for (const { itemId, propensity } of answer.items) {
      const share = (counts.get(itemId) ?? 0) / requests;
      const error = Math.sqrt((share * (1 - share)) / requests + 0.25 / draws);
      expect(Math.abs(propensity! - share)).toBeLessThan(4 * error);
      expect(propensity).toBeGreaterThanOrEqual(1 / draws);
    }
    expect(new Set(answer.items.map(({ propensity }) => propensity)).size).toBeGreaterThan(1);
    expect(await recommend(asks(), from)).not.toHaveProperty('propensityDraws');
    const diverse = await recommend(asks({ explore: true, diversity: 0.5 }), from);
    expect(diverse.items[0]).not.toHaveProperty('propensity');
  });

  test('counts propensities from fewer draws over large catalogues', () => {
    expect([1, 125_000, 250_000, 1_000_000].map(propensityDraws)).toEqual([200, 200, 100, 50]);
  });

  test('explores for a user without history, and not for held-out users', async () => {
    const fresh = await recommend(asks({ userId: 'new', explore: true, requestId: 'a' }), await services());
    expect(fresh.propensityDraws).toBe(200);
    const from = await services(undefined, fromOthers, { holdout: 1 });
    const heldOut = await recommend(asks({ explore: true, requestId: 'a' }), from);
    expect(heldOut).not.toHaveProperty('propensityDraws');
    expect(heldOut.items).toEqual((await recommend(asks(), from)).items);
  });

  test('reports a missing catalogue', async () => {
    const from = {
      ...(await services()),
      catalogue: new CatalogueReader(new MemoryObjects(), CATALOGUE_SETTINGS),
    };
    await expect(recommend(asks(), from)).rejects.toThrow(
      'catalogue: found no items, expected items that attune catalogue put has stored',
    );
  });
});

describe('similar', () => {
  const cosineTo = (a: string, b: string) =>
    embeddingOf.get(a)!.reduce((sum, x, i) => sum + x * embeddingOf.get(b)![i]!, 0);

  test('gives the nearest items by cosine, without the item itself', async () => {
    const answer = await similar(asksSimilar({ limit: 10 }), await services());
    const expected = idsOf(items)
      .slice(1)
      .sort((a, b) => cosineTo('item-0', b) - cosineTo('item-0', a))
      .slice(0, 10);
    expect(idsOf(answer.items)).toEqual(expected);
    expect(answer.matching).toBe(399);
    expect(answer.items[0]!.similarity).toBeCloseTo(cosineTo('item-0', expected[0]!), 6);
  });

  test('for a user, orders the nearest items by taste, and excludes those that the user has met', async () => {
    const from = await services();
    const answer = await similar(asksSimilar({ userId: 'ada', limit: 8 }), from);
    const near = idsOf(items)
      .slice(40)
      .sort((a, b) => cosineTo('item-0', b) - cosineTo('item-0', a))
      .slice(0, 40);
    const expected = (await byPersonalize(from))
      .map(({ itemId }) => itemId!)
      .filter((id) => near.includes(id));
    expect(idsOf(answer.items)).toEqual(expected.slice(0, 8));
  });

  test('reports an item that the catalogue does not have', async () => {
    await expect(similar(asksSimilar({ itemId: 'gone' }), await services())).rejects.toThrow(
      'itemId: found "gone", expected an item of the catalogue',
    );
  });
});

describe('search', () => {
  const query = embeddingOf.get('item-3')!;
  const asksSearch = (request: object = {}) =>
    parseCatalogueRequest(
      { action: 'search', userId: 'ada', query: [...query], ...request },
      RECOMMEND_SETTINGS,
    ) as SearchRequest;

  test('ranks the items by the query and the embeddings that personalize moves', async () => {
    const from = await services();
    const answer = await search(asksSearch({ limit: 30, excludeInteracted: false, queryVector: true }), from);
    const candidates = [...embeddingOf].map(([itemId, embedding]) => ({ itemId, embedding }));
    const moved = await personalize(
      { userId: 'ada', candidates, answer: 'embeddings', explain: false },
      from,
    );
    const unit = query.map((value) => value / Math.hypot(...query));
    const expected = moved.items.map((item) => {
      const y = decodeEmbedding('embedding' in item ? item.embedding : '', 16, 'y');
      return { itemId: item.itemId!, score: y.reduce((sum, value, i) => sum + value * unit[i]!, 0) };
    });
    const best = expected.toSorted((a, b) => b.score - a.score).slice(0, 30);
    expect(idsOf(answer.items)).toEqual(idsOf(best));
    answer.items.forEach(({ score }, i) => {
      expect(score).toBeCloseTo(best[i]!.score, 5);
    });
    const vector = decodeEmbedding(answer.queryVector!, 16, 'queryVector');
    const [first] = answer.items;
    const x = embeddingOf.get(first!.itemId)!;
    expect(x.reduce((sum, value, i) => sum + value * vector[i]!, 0)).toBeCloseTo(first!.score, 5);
  });

  test('gives a user without taste the nearest items, by cosine', async () => {
    const from = await services(undefined, combine(undefined, undefined));
    const answer = await search(asksSearch({ userId: 'new', limit: 1 }), from);
    expect(answer.items[0]).toMatchObject({ itemId: 'item-3', score: expect.closeTo(1, 3) });
    expect(answer).not.toHaveProperty('queryVector');
  });

  test('refuses a query without a direction or of another length', () => {
    expect(() => asksSearch({ query: Array(16).fill(0) })).toThrow(
      'query: found a vector without a direction',
    );
    expect(() => asksSearch({ query: [1] })).toThrow('query: found 1 numbers, expected 16 numbers');
    expect(() => asksSearch({ query: undefined })).toThrow('query: found nothing');
  });
});

describe('a request for items of the catalogue', () => {
  test.each([
    [{ action: 'other' }, 'action: found "other", expected "recommend", "similar" or "search"'],
    [{ limit: 0 }, 'limit: found 0, expected a whole number from 1 to 500'],
    [{ interactedWithinDays: 0 }, 'interactedWithinDays: found 0, expected a number of days above 0'],
    [
      { interactedBy: ['click'] },
      'interactedBy[0]: found "click", expected an array of reward, watch, target',
    ],
    [{ limit: 501 }, 'limit: found 501'],
    [{ diversity: 1.5 }, 'diversity: found 1.5, expected a number from 0 to 1'],
    [{ exclude: 'x' }, 'exclude: found "x", expected an array of item ids'],
    [{ exclude: new Array(1_001).fill('x') }, 'exclude: found 1001 items, expected at most 1000'],
    [{ exclude: [''] }, 'exclude[0]: found ""'],
    [{ filter: { attribute: 'a' } }, 'filter: found'],
    [{ maxPerValue: { attribute: 'a', count: 0 } }, 'maxPerValue.count: found 0'],
    [{ candidates: [] }, 'the unknown field "candidates"'],
    [{ embeddingModel: 'other' }, 'embeddingModel: found "other", expected "test-model"'],
    [{ userId: '' }, 'userId: found ""'],
  ])('%j is refused with the field that is wrong', (request, message) => {
    expect(() => asks(request)).toThrow(message);
  });
});
