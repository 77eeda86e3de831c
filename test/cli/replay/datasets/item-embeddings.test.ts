import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { itemEmbeddings } from '../../../../cli/replay/datasets/item-embeddings.ts';
import {
  loadRatings,
  type Movie,
  type Rating,
  type RatingsData,
} from '../../../../cli/replay/datasets/ratings.ts';
import { InvalidInputError } from '../../../../shared/errors.ts';
import { createRandom } from '../../../../shared/lora/random.ts';

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const bytes = (embeddings: Map<string, Float32Array>) =>
  Buffer.concat([...embeddings.values()].map(({ buffer }) => Buffer.from(buffer)));

/**
 * Sixty films of three genres. Every user likes one half of the items, in all genres, and dislikes
 * the other.
 */
function smallData(): RatingsData {
  const random = createRandom('films');
  const movies = new Map<string, Movie>();
  for (let i = 0; i < 60; i++) {
    movies.set(`m${i}`, {
      title: `Film (${1950 + random.integer(60)})`,
      genres: [['Drama', 'War', 'Comedy'][i % 3]!],
    });
  }
  const ratings: Rating[] = [];
  for (let user = 0; user < 40; user++) {
    for (let i = 0; i < 60; i++) {
      const liked = i < 30 === user < 20;
      if (random.next() < 0.5)
        ratings.push({ userId: `u${user}`, itemId: `m${i}`, rating: liked ? 4.5 : 1.5, timestamp: i });
    }
  }
  return { movies, ratings, tags: [] };
}

describe('itemEmbeddings', () => {
  const small = smallData();

  it.each([
    ['hybrid', 16],
    ['hybrid', 64],
    ['content', 16],
    ['content', 33],
    ['content', 64],
  ] as const)(
    'are of unit length with a constant coordinate of square .25 (%s, %d dimensions)',
    (kind, dim) => {
      const embeddings = itemEmbeddings(small, { kind, dim, seed: 1 });
      expect([...embeddings.keys()].sort()).toEqual([...small.movies.keys()].sort());
      for (const x of embeddings.values()) {
        expect(x).toHaveLength(dim);
        expect(x[0]).toBe(0.5);
        expect(dot(x, x)).toBeCloseTo(1, 6);
      }
    },
  );

  it('are similar for items of one genre, by content', () => {
    const embeddings = itemEmbeddings(small, { kind: 'content', seed: 1 });
    expect(contrast(embeddings, (i, j) => i % 3 === j % 3)).toBeGreaterThan(0.15);
    expect(Math.abs(contrast(embeddings, (i, j) => i < 30 === j < 30))).toBeLessThan(0.05);
  });

  it('are similar for items that the same users like, when hybrid', () => {
    const embeddings = itemEmbeddings(small, { kind: 'hybrid', seed: 1 });
    expect(contrast(embeddings, (i, j) => i < 30 === j < 30)).toBeGreaterThan(0.15);
    expect(contrast(embeddings, (i, j) => i % 3 === j % 3)).toBeGreaterThan(0.05);
  });

  it('give the co-ratings half of the dimensions and, on average, as much length as the content', () => {
    const embeddings = itemEmbeddings(small, { kind: 'hybrid', seed: 1 });
    const share = [...embeddings.values()].map((x) => {
      const ratings = x.subarray(1 + 31);
      const content = x.subarray(1, 1 + 31);
      return dot(ratings, ratings) / dot(content, content);
    });
    expect(share.reduce((sum, value) => sum + value, 0) / share.length).toBeCloseTo(1, 6);
  });

  it('cover items that are only rated, and give one of which nothing is known the mean direction', () => {
    const ratings = [...small.ratings, { userId: 'u1', itemId: 'rated', rating: 4, timestamp: 1 }];
    const movies = new Map([...small.movies, ['blank', { title: '', genres: [] }]]);
    const embeddings = itemEmbeddings({ ratings, movies, tags: [] }, { kind: 'hybrid', seed: 1 });
    expect(embeddings.get('rated')).toHaveLength(64);
    const blank = embeddings.get('blank')!;
    expect(dot(blank, blank)).toBeCloseTo(1, 6);
    expect(dot(embeddings.get('rated')!, embeddings.get('rated')!)).toBeCloseTo(1, 6);
    const similarity = [...embeddings.values()].map((x) => dot(x, blank));
    expect(similarity.reduce((sum, value) => sum + value, 0) / similarity.length).toBeGreaterThan(0.3);
  });

  it('exist even without any rating or movie', () => {
    const movies = new Map([['blank', { title: '', genres: [] }]]);
    const x = itemEmbeddings({ ratings: [], movies, tags: [] }, { kind: 'hybrid', dim: 16, seed: 1 }).get(
      'blank',
    )!;
    expect(dot(x, x)).toBeCloseTo(1, 6);
  });

  it.each([15, 4097, 20.5, Number.NaN])('refuse %d dimensions', (dim) => {
    expect(() => itemEmbeddings(small, { kind: 'content', dim, seed: 1 })).toThrow(InvalidInputError);
  });

  const folder = process.env.ATTUNE_DATA ?? '';
  describe.skipIf(folder === '')('of MovieLens (needs ATTUNE_DATA)', () => {
    let data: RatingsData;
    let embeddings: Map<string, Float32Array>;
    beforeAll(() => {
      data = loadRatings(join(folder, 'ml-latest-small'));
      embeddings = itemEmbeddings(data, { kind: 'hybrid', seed: 1 });
    });

    it('are the same bytes again under the same seed', () => {
      expect(embeddings.size).toBe(9742);
      expect(bytes(itemEmbeddings(data, { kind: 'hybrid', seed: 1 })).equals(bytes(embeddings))).toBe(true);
    });

    it('are of unit length in float32', () => {
      const furthest = Math.max(...[...embeddings.values()].map((x) => Math.abs(dot(x, x) - 1)));
      expect(furthest).toBeLessThan(1e-6);
    });

    it('are nearest for Toy Story and its sequel, with animations for children around', () => {
      const toyStory = embeddings.get('1')!;
      const nearest = [...embeddings]
        .map(([id, x]) => ({ movie: data.movies.get(id)!, similarity: dot(x, toyStory) }))
        .sort((a, b) => b.similarity - a.similarity)
        .slice(1, 21)
        .map(({ movie }) => movie);
      expect(nearest[0]?.title).toBe('Toy Story 2 (1999)');
      const kindred = nearest.filter(
        ({ genres }) => genres.includes('Animation') && genres.includes('Children'),
      );
      // 5 % of all films are both.
      expect(kindred.length).toBeGreaterThanOrEqual(14);
    });
  });
});

/** Mean similarity of alike items minus that of the others. */
function contrast(embeddings: Map<string, Float32Array>, alike: (i: number, j: number) => boolean): number {
  const sums = { alike: 0, other: 0 };
  const counts = { alike: 0, other: 0 };
  for (let i = 0; i < 60; i++) {
    for (let j = 0; j < i; j++) {
      const kind = alike(i, j) ? 'alike' : 'other';
      sums[kind] += dot(embeddings.get(`m${i}`)!, embeddings.get(`m${j}`)!);
      counts[kind] += 1;
    }
  }
  return sums.alike / counts.alike - sums.other / counts.other;
}
