import { expect, test } from 'vitest';
import { chooseDiverse } from '../../../shared/catalogue/diversity.ts';

const pool = [1, 0.9, 0.8, 0.7, 0].map((score, row) => ({ itemId: `item ${row}`, score, shard: 0, row }));
/** Two similar items, two similar in another direction, and one in between. */
const embeddings = [
  [1, 0],
  [1, 0],
  [0, 1],
  [0, 1],
  [Math.SQRT1_2, Math.SQRT1_2],
];
const chosen = (diversity: number, limit: number) =>
  chooseDiverse({ shards: [] }, pool, embeddings, { limit, diversity }).map(({ row }) => row);

test('without diversity the best items are chosen in order', () => {
  expect(chosen(0, 3)).toEqual([0, 1, 2]);
});

test('with diversity an item that is like a chosen one comes later, by its nearest chosen item', () => {
  expect(chosen(0.5, 5)).toEqual([0, 2, 1, 3, 4]);
  // The nearest chosen item counts: the last item is far from none of them.
  expect(chosen(0.9, 5)).toEqual([0, 2, 4, 1, 3]);
});

test('a pool smaller than the limit is chosen as a whole', () => {
  expect(chosen(0.5, 9)).toHaveLength(5);
});
