import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { holdOut, movielensDataset } from '../../../../cli/replay/datasets/dataset.ts';
import { itemEmbeddings } from '../../../../cli/replay/datasets/item-embeddings.ts';
import { loadRatings } from '../../../../cli/replay/datasets/ratings.ts';
import { InvalidInputError, NotFoundError } from '../../../../shared/errors.ts';
import { createRandom } from '../../../../shared/lora/random.ts';

/**
 * Users u0 to u9: u0 has 19 ratings, the others 20 to 29. Every second rating has the time of the
 * one before it. Items 40 and 41 are no movies; only u9 rated 41.
 */
function writeDataset(folder: string): void {
  const random = createRandom('dataset');
  const movies = Array.from(
    { length: 40 },
    (_, i) => `${i},Film (${1960 + i}),${i % 2 === 0 ? 'Drama' : 'War'}`,
  );
  const ratings: string[] = [];
  for (let user = 0; user < 10; user++) {
    const items = random.shuffle(Array.from({ length: 41 }, (_, i) => i)).slice(0, 19 + user);
    for (const [i, item] of items.entries()) {
      ratings.push(`u${user},${item},${(1 + random.integer(10)) / 2},${1000 - 2 * (i >> 1)}`);
    }
    if (user === 9) ratings.push('u9,41,4,999');
  }
  const tags = ['u1', 'u2', 'u3', 'u4'].flatMap((user, i) =>
    [5 * i, 5 * i + 1, 5 * i + 2].map((item) => `${user},${item},${user},9`),
  );
  writeFileSync(join(folder, 'movies.csv'), ['movieId,title,genres', ...movies].join('\n'));
  writeFileSync(join(folder, 'ratings.csv'), ['userId,movieId,rating,timestamp', ...ratings].join('\n'));
  writeFileSync(join(folder, 'tags.csv'), ['userId,movieId,tag,timestamp', ...tags].join('\n'));
}

describe('movielensDataset', () => {
  const folder = mkdtempSync(join(tmpdir(), 'dataset-'));
  beforeAll(() => writeDataset(folder));
  afterAll(() => rmSync(folder, { recursive: true }));

  const userIds = (users: number, seed: number) =>
    movielensDataset(folder, { users, seed }).users.map((u) => u.userId);

  it('chooses users with at least 20 ratings by seed; more of them include the fewer', () => {
    const all = userIds(9, 1);
    expect(all.toSorted()).toEqual(['u1', 'u2', 'u3', 'u4', 'u5', 'u6', 'u7', 'u8', 'u9']);
    expect(userIds(4, 1)).toEqual(all.slice(0, 4));
    expect([2, 3, 4, 5].map((seed) => userIds(4, seed).join())).not.toEqual(
      new Array(4).fill(all.slice(0, 4).join()),
    );
  });

  it('refuses more users than there are, naming how many', () => {
    expect(() => userIds(10, 1)).toThrow(InvalidInputError);
    expect(() => userIds(10, 1)).toThrow(/^users: found 10, expected at most 9, .*dataset-/);
    expect(() => userIds(0, 1)).toThrow(/^users: found 0, expected an integer of at least 1/);
    expect(() => movielensDataset(folder, { users: 1, interactionsPerUser: 0, seed: 1 })).toThrow(
      /^interactionsPerUser/,
    );
    expect(() => movielensDataset(join(folder, 'absent'), { users: 1, seed: 1 })).toThrow(NotFoundError);
  });

  it('gives interactions in time order, ties by item, with rewards from 0 to 1 and milliseconds', () => {
    const dataset = movielensDataset(folder, { users: 9, seed: 1 });
    const ratings = loadRatings(folder).ratings;
    for (const { userId, interactions } of dataset.users) {
      const expected = ratings
        .filter((rating) => rating.userId === userId)
        .map(({ itemId, rating, timestamp }) => ({
          itemId,
          rating,
          reward: (rating - 0.5) / 4.5,
          at: timestamp * 1000,
        }));
      expect(interactions).toHaveLength(expected.length);
      expect(new Set(interactions)).toEqual(new Set(expected));
      const keys = interactions.map(({ at, itemId }) => `${String(at).padStart(9)} ${itemId}`);
      expect(keys).toEqual(keys.toSorted());
    }
  });

  it('keeps the first interactions of a user when there are more than asked for', () => {
    const full = movielensDataset(folder, { users: 3, seed: 1 });
    const cut = movielensDataset(folder, { users: 3, seed: 1, interactionsPerUser: 7 });
    expect(cut.users.map((u) => u.interactions)).toEqual(full.users.map((u) => u.interactions.slice(0, 7)));
  });

  it('computes embeddings from the ratings of all other users', () => {
    const { items, users } = movielensDataset(folder, { users: 3, seed: 1 });
    const data = loadRatings(folder);
    const replayed = new Set(users.map((u) => u.userId));
    const unlisted = [...new Set(data.ratings.map(({ itemId }) => itemId))].filter(
      (id) => !data.movies.has(id),
    );
    expect(unlisted.toSorted()).toEqual(['40', '41']);
    const others = {
      movies: new Map([...data.movies, ...unlisted.map((id) => [id, { title: '', genres: [] }] as const)]),
      ratings: data.ratings.filter(({ userId }) => !replayed.has(userId)),
      tags: data.tags.filter(({ userId }) => !replayed.has(userId)),
    };
    expect(items).toEqual(itemEmbeddings(others, { dim: 64, kind: 'hybrid', seed: 1 }));
    expect(items).not.toEqual(itemEmbeddings(data, { dim: 64, kind: 'hybrid', seed: 1 }));
  });

  it('has an embedding even for an item that only replayed users rated', () => {
    const x = movielensDataset(folder, { users: 9, seed: 1 }).items.get('41')!;
    expect(Math.hypot(...x)).toBeCloseTo(1, 6);
  });

  it('is the same twice, is named after its folder, and takes dimension and kind', () => {
    const options = { users: 3, seed: 'x', embeddingDim: 20, embeddings: 'content' } as const;
    const dataset = movielensDataset(folder, options);
    expect(movielensDataset(folder, options)).toEqual(dataset);
    expect(dataset.items.get('3')).toHaveLength(20);
    expect(dataset.name).toMatch(/^dataset-/);
  });
});

describe('holdOut', () => {
  const at = (...times: number[]) => times.map((time) => ({ at: time }));

  it('holds out the last fifth in time, but at least four', () => {
    expect(holdOut(at(...Array.from({ length: 30 }, (_, i) => 30 - i))).test).toEqual(
      at(25, 26, 27, 28, 29, 30),
    );
    expect(holdOut(at(9, 1, 2, 8, 3, 7))).toEqual({ train: at(1, 2), test: at(3, 7, 8, 9) });
    expect(holdOut(at(1, 2, 3))).toEqual({ train: [], test: at(1, 2, 3) });
    expect(holdOut(at(1, 2, 3, 4), 0.5, 1)).toEqual({ train: at(1, 2), test: at(3, 4) });
  });

  it('splits every list without loss, past before future', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(50)),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.nat(6),
        (times, fraction, minimum) => {
          const { train, test } = holdOut(at(...times), fraction, minimum);
          expect([...train, ...test]).toEqual(at(...times.toSorted((a, b) => a - b)));
          expect(test.length).toBe(
            Math.min(times.length, Math.max(minimum, Math.floor(fraction * times.length))),
          );
        },
      ),
    );
  });

  it('refuses a fraction outside 0 to 1', () => {
    expect(() => holdOut([], 1.5)).toThrow(/^fraction: found 1.5/);
  });
});
