import { describe, expect, it } from 'vitest';
import { contentMatrix, ratingMatrix } from '../../../../cli/replay/datasets/item-features.ts';
import type { Movie } from '../../../../cli/replay/datasets/ratings.ts';
import type { SparseMatrix } from '../../../../cli/replay/datasets/truncated-svd.ts';

const movie = (title: string, ...genres: string[]): Movie => ({ title, genres });

/** Values of a row, in the order of its columns. */
function row({ starts, values, indices }: SparseMatrix, i: number): [number, number][] {
  return [...values.subarray(starts[i], starts[i + 1])].map((value, k): [number, number] => [
    indices[starts[i]! + k]!,
    value,
  ]);
}

describe('contentMatrix', () => {
  it('weighs genre, decade, three-year bucket, title word and tag by kind and rarity, to length 1', () => {
    // Ten items; each feature of the first occurs in a known number of them, the rest have nothing.
    const movies = new Map<string, Movie>([
      ['0', movie('The Night Train (1995)', 'Drama')],
      ['1', movie('The Night (1995)', 'Drama', 'War')],
      ['2', movie('The Night Fall (1996)', 'Drama', 'War')],
      ['3', movie('Other (1999)', 'Drama')],
    ]);
    for (let i = 4; i < 10; i++) movies.set(String(i), movie(''));
    const tags = [' Dark ', 'dark', 'DARK'].map((tag, i) => ({
      userId: 'u',
      itemId: ['0', '1', '9'][i]!,
      tag,
      timestamp: 1,
    }));
    tags.push({ userId: 'v', itemId: '0', tag: 'dark', timestamp: 2 });
    const matrix = contentMatrix([...movies.keys()], movies, tags);
    // Kept: Drama (4 of 10), 1990s (4), 1995–97 (3), "night" (3), "dark" (3). War is of two items,
    // "the" is short.
    const raw = [Math.log(10 / 4), 0.7 * Math.log(10 / 4), 0.4, 0.35, 0.5].map((value, i) =>
      i < 2 ? value : value * Math.log(10 / 3),
    );
    const length = Math.hypot(...raw);
    const values = row(matrix, 0).map(([, value]) => value);
    expect(matrix.columns).toBe(5);
    expect(values).toHaveLength(5);
    raw.forEach((value, i) => {
      expect(values[i]).toBeCloseTo(value / length, 12);
    });
    expect(row(matrix, 4)).toEqual([]);
    expect(row(matrix, 9).map(([, value]) => value)).toEqual([1]);
  });

  it('takes the year only from the end of the title, and not as a title word', () => {
    const ids = ['0', '1', '2', '3', '4', '5'];
    const movies = new Map(ids.slice(0, 3).map((id) => [id, movie('(1984) Return 2001 (2010)')]));
    // return, 1984, 2001 as words; 2010 as decade and three years.
    expect(contentMatrix(ids, movies, []).columns).toBe(5);
  });

  it('ignores tags of items that are not asked for', () => {
    const tags = [1, 2, 3].map((timestamp) => ({
      userId: 'u',
      itemId: `x${timestamp}`,
      tag: 'dark',
      timestamp,
    }));
    expect(contentMatrix(['0'], new Map(), tags).columns).toBe(0);
  });
});

describe('ratingMatrix', () => {
  it('contains residuals to the shrunken mean of the user, damped by the number of ratings of the item', () => {
    const ratings = [
      { userId: 'a', itemId: 'x', rating: 5, timestamp: 1 },
      { userId: 'a', itemId: 'y', rating: 2, timestamp: 2 },
      { userId: 'b', itemId: 'x', rating: 3, timestamp: 3 },
    ];
    const matrix = ratingMatrix(['y', 'x', 'z'], ratings);
    const meanOfA = (7 + 5 * (10 / 3)) / 7;
    const meanOfB = (3 + 5 * (10 / 3)) / 6;
    expect(matrix.columns).toBe(2);
    expect(row(matrix, 0)).toEqual([[0, expect.closeTo((2 - meanOfA) / Math.sqrt(1 + 3), 12)]]);
    expect(row(matrix, 1)).toEqual([
      [0, expect.closeTo((5 - meanOfA) / Math.sqrt(2 + 3), 12)],
      [1, expect.closeTo((3 - meanOfB) / Math.sqrt(2 + 3), 12)],
    ]);
    expect(row(matrix, 2)).toEqual([]);
  });

  it('is empty without ratings', () => {
    expect(ratingMatrix(['x'], [])).toMatchObject({ rows: 1, columns: 0 });
  });
});
