import { describe, expect, test } from 'vitest';
import { learnBetterBasis, learnFirstBasis } from '../../../functions/consolidate-patterns/learned-basis.ts';
import type { SampledState } from '../../../functions/consolidate-patterns/sample.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import type { Episode } from '../../../shared/episodes/episode.ts';
import type { IndexedEpisode } from '../../../shared/episodes/episode-store.ts';
import { ConflictError } from '../../../shared/errors.ts';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { createBayesianState, train } from '../../../shared/lora/bayesian.ts';
import { initialPrior } from '../../../shared/lora/prior.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { learningObjects } from '../../../shared/population/shared-learning.ts';
import { SETTINGS } from '../../support/container.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';

const random = createRandom('learned basis');
const vector = () => Float32Array.from({ length: SETTINGS.embeddingDim }, () => random.normal());
const half = () => {
  const x = vector();
  return Float16Array.from(x, (value) => value / Math.hypot(...x));
};

/** Users with this many buffered interactions each. */
function waiting(users: number, interactions: number): SampledState[] {
  const model = { basis: null, prior: initialPrior(null, 1) };
  return Array.from({ length: users }, (_, user) => {
    const seen = Array.from({ length: interactions }, () => ({
      embedding: vector(),
      itemEffect: 0,
      reward: 1,
    }));
    return { userKey: userKey(`${user}`), state: train(createBayesianState(null), model, seen).state };
  });
}

/** Episodes with four embeddings each, in one shard, from a position on. */
function episodes(count: number, from = 0): IndexedEpisode[] {
  return Array.from({ length: count }, (_, i) => ({
    shard: 2,
    position: `${String(from + i).padStart(13, '0')}#u#1`,
    episode: {
      userKey: userKey(`${from + i}`),
      embeddings: [half(), half(), half(), half()],
    } as unknown as Episode,
  }));
}

async function withFirstBasis(objects = new MemoryObjects()) {
  const learning = learningObjects(objects, SETTINGS, { maxAgeMs: 0 });
  const first = (await learnFirstBasis(learning, waiting(12, 50), SETTINGS))!;
  return { objects, learning, first };
}

describe('the first basis', () => {
  test('waits for 600 interactions of ten users', async () => {
    const learning = learningObjects(new MemoryObjects(), SETTINGS);
    for (const [users, interactions] of [
      [9, 100],
      [11, 54],
    ] as const) {
      expect(await learnFirstBasis(learning, waiting(users, interactions), SETTINGS)).toBeUndefined();
    }
    expect(await learning.basisSample.refresh()).toBeUndefined();
  });

  test('is stored together with the embeddings that it was learned from', async () => {
    const { learning, first } = await withFirstBasis();
    expect(first).toMatchObject({ learnedFrom: 600, carryOvers: [] });
    expect(await learning.basis.refresh()).toBe(first);
    expect((await learning.basisSample.refresh())!.embeddings).toHaveLength(600);
  });

  test('is learned from at most 2,000 embeddings, evenly over users', async () => {
    const learning = learningObjects(new MemoryObjects(), SETTINGS);
    const states = waiting(15, 200);
    expect(await learnFirstBasis(learning, states, SETTINGS)).toMatchObject({ learnedFrom: 2_000 });
    const { embeddings } = (await learning.basisSample.refresh())!;
    const last = states.at(-1)!.state.buffered.map(({ embedding }) => String(embedding));
    expect(embeddings.filter((embedding) => last.includes(String(embedding))).length).toBeGreaterThan(120);
  });
});

describe('a better basis', () => {
  test.each([
    { others: 3, heard: 1, title: 'one episode of a busy user, in a run of few users' },
    { others: 11, heard: 2, title: 'at most twice as many episodes of a busy user as of the median user' },
  ])('is learned from $title', async ({ others, heard }) => {
    const { learning, first } = await withFirstBasis();
    const busy = episodes(20).map((found) => ({
      ...found,
      episode: { ...found.episode, userKey: userKey('busy') } as Episode,
    }));
    await learnBetterBasis(learning, first, [...busy, ...episodes(others, 20)], SETTINGS);
    expect((await learning.basisSample.refresh())!.embeddings).toHaveLength(600 + 4 * (heard + others));
  });

  test('is learned from twice as many embeddings, and adapters are carried over to it', async () => {
    const { learning, first } = await withFirstBasis();
    expect(await learnBetterBasis(learning, first, episodes(149), SETTINGS)).toBeUndefined();
    const better = (await learnBetterBasis(learning, first, episodes(1, 149), SETTINGS))!;
    expect(better).toMatchObject({ learnedFrom: 1_200, carryOvers: [{ fromBasisId: first.basis.id }] });
    expect(better.basis.id).not.toBe(first.basis.id);
    expect((await learning.basis.refresh())!.basis.id).toBe(better.basis.id);
    expect(await learnBetterBasis(learning, better, episodes(400, 200), SETTINGS)).toBeUndefined();
    expect((await learning.basisSample.refresh())!.embeddings).toHaveLength(1_200);
  });

  test('is learned from at most 2,000 embeddings, evenly over old and new ones', async () => {
    const { learning, first } = await withFirstBasis();
    const before = (await learning.basisSample.refresh())!.embeddings.map(String);
    const better = await learnBetterBasis(learning, first, episodes(850), SETTINGS);
    expect(better).toMatchObject({ learnedFrom: 2_000 });
    const { embeddings } = (await learning.basisSample.refresh())!;
    expect(embeddings).toHaveLength(2_000);
    expect(embeddings.filter((embedding) => before.includes(String(embedding)))).toHaveLength(300);
  });

  test('never replaces a basis of a catalogue', async () => {
    const { objects, learning } = await withFirstBasis();
    const catalogue = Array.from({ length: 30 }, vector);
    const basis = basisFromEmbeddings(catalogue, { rank: SETTINGS.rank, scalingFactor: 1, seed: 1 });
    const stored = { basis, embeddingModel: SETTINGS.embeddingModel };
    await learning.basis.write(stored);
    const before = new Map(objects.contents);
    expect(await learnBetterBasis(learning, stored, episodes(300), SETTINGS)).toBeUndefined();
    expect(objects.contents).toEqual(before);
  });

  test('adds each embedding once when a dead run is repeated', async () => {
    const { objects, learning, first } = await withFirstBasis();
    await learnBetterBasis(learning, first, episodes(100), SETTINGS);
    const again = learningObjects(objects, SETTINGS, { maxAgeMs: 0 });
    await learnBetterBasis(again, await again.basis.refresh(), episodes(100), SETTINGS);
    expect((await again.basisSample.refresh())!.embeddings).toHaveLength(1_000);
  });

  test('is learned by the next run when one died after storing the embeddings', async () => {
    const { objects, learning, first } = await withFirstBasis();
    const put = objects.put.bind(objects);
    objects.put = async (key, ...rest) => {
      if (!key.endsWith('.sample')) throw new Error('died');
      return put(key, ...rest);
    };
    await expect(learnBetterBasis(learning, first, episodes(150), SETTINGS)).rejects.toThrow('died');
    objects.put = put;
    const next = learningObjects(objects, SETTINGS, { maxAgeMs: 0 });
    const current = await next.basis.refresh();
    expect(current!.basis.id).toBe(first.basis.id);
    expect(await learnBetterBasis(next, current, [], SETTINGS)).toMatchObject({ learnedFrom: 1_200 });
  });

  test('loses to the basis of a catalogue that was stored meanwhile', async () => {
    const { objects, learning, first } = await withFirstBasis();
    const other = learningObjects(objects, SETTINGS, { maxAgeMs: 0 });
    const basis = basisFromEmbeddings([vector(), vector()], {
      rank: SETTINGS.rank,
      scalingFactor: 1,
      seed: 1,
    });
    await other.basis.refresh();
    await other.basis.write({ basis, embeddingModel: SETTINGS.embeddingModel });
    await expect(learnBetterBasis(learning, first, episodes(150), SETTINGS)).rejects.toThrow(ConflictError);
    expect((await other.basis.refresh())!.basis.id).toBe(basis.id);
  });

  test('ignores embeddings of another length', async () => {
    const { learning, first } = await withFirstBasis();
    const odd = episodes(1).map((found) => ({
      ...found,
      episode: { ...found.episode, embeddings: [Float16Array.of(1, 0)] },
    }));
    await learnBetterBasis(learning, first, odd, SETTINGS);
    expect((await learning.basisSample.refresh())!.embeddings).toHaveLength(600);
  });
});
