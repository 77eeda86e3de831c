import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { addEpisodes, nextDue } from '../../../shared/population/episode-progress.ts';
import { initialPopulationModel } from '../../../shared/population/population-model.ts';

const episode = (user: string, version: number, residuals: [bigint, number][]): Episode => ({
  userKey: userKey(user),
  version,
  cell: 'cell',
  committedAt: 1,
  context: { events: 1, interactions: residuals.length, samplesSeen: 0, skillsVersion: 0 },
  outcome: { rewards: 1, meanReward: 0.5, loss: 0, lossWithoutAdapter: 0, lossOfWarmStart: 0 },
  residuals: residuals.map(([itemKey, residual]) => ({ itemKey, residual })),
});

describe('adding episodes', () => {
  test('gives the same item sums to the byte for every order of episodes', () => {
    const random = createRandom(7);
    const episodes = Array.from({ length: 30 }, (_, i) =>
      episode(`user ${i % 6}`, Math.floor(i / 6) + 1, [[BigInt(random.integer(4)), 0.05 * random.normal()]]),
    );
    const taken = (order: readonly Episode[]) =>
      addEpisodes(
        initialPopulationModel(null),
        order.map((each, i) => ({ episode: each, shard: 0, position: String(i).padStart(3, '0') })),
      );
    const expected = taken(episodes).items;
    const total = episodes.flatMap(({ residuals }) => residuals).filter(({ itemKey }) => itemKey === 2n);
    expect(expected.sums.get(2n)!.count).toBe(total.length);
    expect(expected.sums.get(2n)!.sum).toBeCloseTo(
      total.reduce((sum, { residual }) => sum + residual, 0),
      10,
    );
    fc.assert(
      fc.property(fc.shuffledSubarray(episodes, { minLength: 30 }), (order) => {
        const { sums, squares } = taken(order).items;
        expect(squares).toBe(expected.squares);
        for (const [key, item] of expected.sums) expect(sums.get(key)).toEqual(item);
      }),
    );
  });

  test('counts an episode once when the index holds it twice', () => {
    const twice = episode('ada', 3, [[1n, 0.25]]);
    const found = ['a', 'b'].map((position) => ({ episode: twice, shard: 0, position }));
    expect(addEpisodes(initialPopulationModel(null), found).items.sums.get(1n)).toEqual({
      sum: 0.25,
      count: 1,
    });
  });

  test('counts recent picks by the time of their episodes, each once', () => {
    const at = (day: number, user: string) => ({
      episode: { ...episode(user, 1, [[1n, 0.1]]), committedAt: day * 86_400_000 },
      shard: 0,
      position: user,
    });
    const first = addEpisodes(initialPopulationModel(null), [at(7, 'ada'), at(0, 'ben'), at(7, 'ada')]);
    expect([...first.recent.keys]).toEqual([1n]);
    expect(first.recent.counts[0]).toBeCloseTo(1.5, 5);
    const second = addEpisodes(first, [at(14, 'cem')]);
    expect(second.recent.counts[0]).toBeCloseTo(1.75, 5);
    expect(second.recent.records[0]!.users).toBe(1);
  });

  test('keeps the last position of each shard as its watermark', () => {
    const at = (shard: number, position: string) => ({ episode: episode(position, 1, []), shard, position });
    const first = addEpisodes(initialPopulationModel(null), [at(2, 'b'), at(2, 'c'), at(0, 'x')]);
    expect(first.progress).toMatchObject({ watermarks: ['x', '', 'c'], episodes: 3 });
    expect(addEpisodes(first, [at(1, 'm')]).progress).toMatchObject({
      watermarks: ['x', 'm', 'c'],
      episodes: 4,
    });
  });
});

test('the next fit is due after 20 more episodes at first, and after a quarter more later', () => {
  expect([0, 20, 80, 81, 1000].map(nextDue)).toEqual([20, 40, 100, 102, 1250]);
});
