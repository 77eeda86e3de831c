import { describe, expect, test, vi } from 'vitest';
import { applyEvents } from '../../../functions/update-adapters/apply-events.ts';
import { AdapterCache } from '../../../shared/adapters/adapter-cache.ts';
import type { StoredAdapter } from '../../../shared/adapters/adapter-object.ts';
import type { AdapterStore, Loaded } from '../../../shared/adapters/adapter-store.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import type { ScoredItem } from '../../../shared/contract/answers.ts';
import type { Candidate } from '../../../shared/contract/personalize-request.ts';
import { itemKey } from '../../../shared/episodes/episode.ts';
import { decodeEmbedding } from '../../../shared/feedback/embedding-codec.ts';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { carryOversTo } from '../../../shared/lora/carry-over.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { initialPopulationModel } from '../../../shared/population/population-model.ts';
import { combine } from '../../../shared/population/shared-learning.ts';
import { personalize } from '../../../shared/serving/personalize.ts';
import { servedUser } from '../../../shared/serving/served-user.ts';
import { SETTINGS } from '../../support/container.ts';

const DIM = 16;
const random = createRandom('personalize');
const embeddings = Array.from({ length: 40 }, () =>
  Float32Array.from({ length: DIM }, (_, i) => (i === 0 ? 2 : random.normal())),
);
const basis = basisFromEmbeddings(embeddings, { rank: 4, scalingFactor: 1, seed: 1 });
const settings = { ...SETTINGS, embeddingDim: DIM, embeddingModel: 'default', rank: 4 };
const candidates: Candidate[] = embeddings
  .slice(30)
  .map((embedding, i) => ({ itemId: `item ${i}`, embedding }));

const EVENT = {
  schemaVersion: 1,
  eventId: 'e',
  userId: 'ada',
  occurredAt: '2026-01-01T00:00:00Z',
  interactions: embeddings
    .slice(0, 30)
    .map((embedding) => ({ embedding, reward: embedding[1]! > 0 ? 1 : 0 })),
} as const;

function trained(): StoredAdapter {
  const { adapter } = applyEvents(undefined, [EVENT], combine({ basis }, undefined), {
    userKey: userKey('ada'),
    settings,
    now: 1,
  });
  return adapter!;
}

/** A store of one adapter that records its calls. */
function services(adapter: StoredAdapter | undefined, learning = combine({ basis }, undefined)) {
  const asked: (string | undefined)[] = [];
  const store: Pick<AdapterStore, 'load'> = {
    async load(_: string, cached?: Loaded) {
      asked.push(cached?.etag);
      return adapter === undefined ? undefined : (cached ?? { adapter, etag: 'v1' });
    },
  };
  return {
    asked,
    settings,
    adapters: store as AdapterStore,
    cache: new AdapterCache(),
    learning: async () => learning,
    freshLearning: async () => learning,
    neighbours: async () => undefined,
  };
}

const request = { userId: 'ada', candidates, answer: 'scores', explain: true } as const;

describe('personalize', () => {
  test('orders candidates by descending score, and equal scores as given', async () => {
    const { items } = await personalize(request, services(trained()));
    const scores = (items as ScoredItem[]).map(({ score }) => score);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
    const unknown = await personalize(request, services(undefined, combine(undefined, undefined)));
    expect(unknown.items.map(({ index }) => index)).toEqual(candidates.map((_, i) => i));
  });

  test('adds base, item and user to the score', async () => {
    const population = {
      ...initialPopulationModel(basis),
      version: 7,
      items: { sums: new Map([[itemKey('item 3'), { sum: 6, count: 10 }]]), shrinkage: 20, squares: 1 },
    };
    const { items, skillsVersion } = await personalize(
      request,
      services(undefined, combine({ basis }, population)),
    );
    expect(skillsVersion).toBe(7);
    expect(items[0]).toEqual({
      index: 3,
      itemId: 'item 3',
      score: 0.5 + 6 / 30,
      parts: { base: 0.5, popularity: 0, item: 6 / 30, together: 0, user: 0 },
    });
  });

  test('a list of the catalogue starts to read the adapter, the model and the lists of neighbours at once', () => {
    const from = services(trained());
    const started: string[] = [];
    const never = (what: string) => () => {
      started.push(what);
      return new Promise<never>(() => {});
    };
    const adapters = { load: never('adapter') } as unknown as AdapterStore;
    const endless = { adapters, learning: never('model'), neighbours: never('neighbours') };
    void servedUser(request.userId, { ...from, ...endless }, 'ranking');
    expect(started.sort()).toEqual(['adapter', 'model', 'neighbours']);
  });

  test('scores of predicted rewards read no lists of neighbours', async () => {
    const neighbours = vi.fn(async () => undefined);
    await personalize(request, { ...services(trained()), neighbours });
    expect(neighbours).not.toHaveBeenCalled();
  });

  test('a list whose model does not need lists of neighbours is served though they cannot be read', async () => {
    const neighbours = async () => {
      throw new Error('no neighbours');
    };
    const user = servedUser(request.userId, { ...services(trained()), neighbours }, 'ranking');
    expect(await user).toMatchObject({ source: 'adapter', gains: null });
  });

  test('names the source of the answer', async () => {
    const withSkills = { ...initialPopulationModel(basis), version: 1 };
    expect(await personalize(request, services(trained()))).toMatchObject({
      source: 'adapter',
      adapterVersion: 1,
    });
    expect(await personalize(request, services(undefined, combine({ basis }, withSkills)))).toMatchObject({
      source: 'warm-start',
      adapterVersion: 0,
    });
    expect(await personalize(request, services(undefined))).toMatchObject({
      source: 'base',
      adapterVersion: 0,
    });
  });

  test('serves held-out users as if there were no adapters and no item effects', async () => {
    const population = {
      ...initialPopulationModel(basis),
      version: 1,
      items: { sums: new Map([[itemKey('item 3'), { sum: 6, count: 10 }]]), shrinkage: 20, squares: 1 },
    };
    const on = {
      ...services(trained(), combine({ basis }, population)),
      settings: { ...settings, holdout: 1 },
    };
    const scored = await personalize(request, on);
    expect(scored.source).toBe('holdout');
    expect(scored.items.map(({ index }) => index)).toEqual(candidates.map((_, i) => i));
    const { items } = await personalize({ ...request, answer: 'embeddings' }, on);
    const [first] = items as readonly { embedding: string }[];
    expect(decodeEmbedding(first!.embedding, DIM, 'y')).toEqual(candidates[0]!.embedding);
  });

  test('answers with embeddings whose own score is the user part', async () => {
    const { items } = await personalize({ ...request, answer: 'embeddings' }, services(trained()));
    const scored = await personalize(request, services(trained()));
    expect(items.map(({ index }) => index)).toEqual(candidates.map((_, i) => i));
    const offset = trained().weights.offset;
    for (const item of items) {
      const x = candidates[item.index]!.embedding;
      const y = decodeEmbedding((item as { embedding: string }).embedding, DIM, 'y');
      const inner = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
      const { parts } = scored.items.find(({ index }) => index === item.index) as ScoredItem;
      expect(inner(x, y) / inner(x, x) - 1 + offset).toBeCloseTo(parts!.user, 5);
    }
  });

  test('asks again for a cached adapter by its ETag only', async () => {
    const warm = services(trained());
    await personalize(request, warm);
    await personalize(request, warm);
    expect(warm.asked).toEqual([undefined, 'v1']);
  });

  test('does not serve a harmful adapter', async () => {
    const adapter = trained();
    const harmful = { count: 200, adapterLoss: 60, userMeanLoss: 20, warmStartLoss: 20 };
    const squares = { adapterUserMeanSquares: 20, adapterWarmStartSquares: 20, warmStartUserMeanSquares: 1 };
    const judged = (record: object): StoredAdapter => ({
      ...adapter,
      state: { ...adapter.state, record: { ...adapter.state.record, ...harmful, ...squares, ...record } },
    });
    const withSkills = combine({ basis }, { ...initialPopulationModel(basis), version: 1 });
    const newcomer = await personalize(request, services(undefined, withSkills));
    const others = await personalize(request, services(judged({}), withSkills));
    expect(others).toMatchObject({ source: 'warm-start', adapterVersion: 1 });
    expect(others.items).toEqual(newcomer.items);

    const worthless = judged({ warmStartLoss: 60, warmStartUserMeanSquares: 20 });
    const asGiven = await personalize({ ...request, answer: 'embeddings' }, services(worthless, withSkills));
    expect(asGiven.source).toBe('base');
    asGiven.items.forEach((item, i) => {
      expect(decodeEmbedding((item as { embedding: string }).embedding, DIM, 'y')).toEqual(
        candidates[i]!.embedding,
      );
    });
    const { items } = await personalize(request, services(worthless, withSkills));
    const { rewardSum, count } =
      adapter.state.learner === 'bayesian' ? adapter.state.statistics : adapter.state;
    expect((items[0] as ScoredItem).parts!.user).toBeCloseTo((rewardSum + 20 * 0.5) / (count + 20) - 0.5, 12);
  });

  test('serves the state of an earlier basis as if it had been learned under the current one', async () => {
    const next = basisFromEmbeddings(embeddings.slice(5), { rank: 4, scalingFactor: 1, seed: 2 });
    const carryOvers = carryOversTo(next, { basis }, embeddings);
    const learning = combine({ basis: next, carryOvers }, undefined);
    const carried = await personalize(request, services(trained(), learning));
    expect(carried).toMatchObject({ source: 'adapter', adapterVersion: 1 });
    const before = await personalize(request, services(trained()));
    const scores = ({ items }: typeof before) =>
      (items as ScoredItem[]).toSorted((a, b) => a.index - b.index).map(({ score }) => score);
    const was = scores(before);
    const squares = (to: readonly number[]) => was.reduce((sum, score, i) => sum + (score - to[i]!) ** 2, 0);
    expect(squares(scores(carried))).toBeLessThan(0.02 * squares(was.map(() => 0.5)));
  });

  test('reads the shared objects again for an adapter that was carried over elsewhere', async () => {
    const next = basisFromEmbeddings(embeddings.slice(5), { rank: 4, scalingFactor: 1, seed: 2 });
    const fresh = combine({ basis: next, carryOvers: carryOversTo(next, { basis }, embeddings) }, undefined);
    const { adapter } = applyEvents(trained(), [{ ...EVENT, eventId: 'later' }], fresh, {
      userKey: userKey('ada'),
      settings,
      now: 2,
    });
    const freshLearning = vi.fn(async () => fresh);
    const stale = { ...services(adapter), freshLearning };
    const answer = await personalize(request, stale);
    expect(answer).toMatchObject({ source: 'adapter', adapterVersion: 2 });
    expect(answer).toEqual(await personalize(request, services(adapter, fresh)));
    await personalize(request, { ...services(trained()), freshLearning });
    expect(freshLearning).toHaveBeenCalledTimes(1);
  });

  test('serves without the adapter when its basis was removed', async () => {
    const nothing = combine(undefined, undefined);
    const newcomer = await personalize(request, services(undefined, nothing));
    expect(await personalize(request, services(trained(), nothing))).toEqual(newcomer);
  });

  test('does not serve an adapter of other settings or of an unknown basis', async () => {
    const other = basisFromEmbeddings(embeddings, { rank: 4, scalingFactor: 1, seed: 2 });
    const newcomer = await personalize(request, services(undefined, combine({ basis: other }, undefined)));
    expect(await personalize(request, services(trained(), combine({ basis: other }, undefined)))).toEqual(
      newcomer,
    );
    for (const change of [{ embeddingModel: 'new' }, { rank: 3 }, { scalingFactor: 2 }]) {
      const changed = { ...services(trained()), settings: { ...settings, ...change } };
      expect(await personalize(request, changed)).toMatchObject({ source: 'base', adapterVersion: 0 });
    }
  });
});
