import type { Movie, Rating, Tag } from './ratings.ts';
import { type SparseMatrix, sparseMatrix } from './truncated-svd.ts';

const WEIGHT = { genre: 1, decade: 0.7, threeYears: 0.4, titleWord: 0.35, tag: 0.5 } as const;
/** Features of fewer items are dropped, because they carry too little information. */
const MINIMUM_ITEMS = 3;

/**
 * Content features, items × features: genres, decade, three-year bucket, title words of more than
 * three letters and tags, each weighted by its kind and by ln(number of items / items that have
 * it); rows have length 1.
 * @param itemIds the rows, in order; an item without a movie has only tags
 */
export function contentMatrix(
  itemIds: readonly string[],
  movies: ReadonlyMap<string, Movie>,
  tags: readonly Tag[],
): SparseMatrix {
  const features = itemIds.map((id) => movieFeatures(movies.get(id)));
  const rowOf = new Map(itemIds.map((id, row) => [id, row]));
  for (const { itemId, tag } of tags) {
    const text = tag.trim().toLowerCase();
    if (text !== '') features[rowOf.get(itemId) ?? -1]?.set(`tag ${text}`, WEIGHT.tag);
  }

  const itemsWith = new Map<string, number>();
  for (const row of features)
    for (const name of row.keys()) itemsWith.set(name, (itemsWith.get(name) ?? 0) + 1);
  const columnOf = new Map<string, number>();
  for (const [name, items] of itemsWith) if (items >= MINIMUM_ITEMS) columnOf.set(name, columnOf.size);

  const rows = features.map((row) => {
    const entries: [number, number][] = [];
    for (const [name, weight] of row) {
      const column = columnOf.get(name);
      if (column !== undefined)
        entries.push([column, weight * Math.log(itemIds.length / itemsWith.get(name)!)]);
    }
    const length = Math.hypot(...entries.map(([, value]) => value));
    return length === 0 ? [] : entries.map(([column, value]): [number, number] => [column, value / length]);
  });
  return sparseMatrix(rows, columnOf.size);
}

function movieFeatures(movie: Movie | undefined): Map<string, number> {
  const features = new Map<string, number>();
  if (movie === undefined) return features;
  for (const genre of movie.genres) features.set(`genre ${genre}`, WEIGHT.genre);
  const yearAtEnd = /\((\d{4})\)\s*$/.exec(movie.title);
  if (yearAtEnd !== null) {
    const year = Number(yearAtEnd[1]);
    features.set(`decade ${Math.floor(year / 10)}`, WEIGHT.decade);
    features.set(`three years ${Math.floor(year / 3)}`, WEIGHT.threeYears);
  }
  const words =
    movie.title
      .slice(0, yearAtEnd?.index)
      .toLowerCase()
      .match(/[\p{L}\p{N}]{4,}/gu) ?? [];
  for (const word of words) features.set(`title ${word}`, WEIGHT.titleWord);
  return features;
}

/**
 * Co-rating features, items × users: a rating minus its user's mean (shrunken towards the overall
 * mean by five ratings), damped by 1/√(ratings of the item + 3), so that much-rated items do not
 * dominate every direction.
 */
export function ratingMatrix(itemIds: readonly string[], ratings: readonly Rating[]): SparseMatrix {
  const overall = ratings.reduce((sum, { rating }) => sum + rating, 0) / Math.max(1, ratings.length);
  const users = new Map<string, { column: number; sum: number; count: number }>();
  const support = new Map<string, number>();
  for (const { userId, itemId, rating } of ratings) {
    const user = users.get(userId) ?? { column: users.size, sum: 0, count: 0 };
    user.sum += rating;
    user.count += 1;
    users.set(userId, user);
    support.set(itemId, (support.get(itemId) ?? 0) + 1);
  }
  const rowOf = new Map(itemIds.map((id, row) => [id, row]));
  const rows = itemIds.map((): [number, number][] => []);
  for (const { userId, itemId, rating } of ratings) {
    const { column, sum, count } = users.get(userId)!;
    const residual = rating - (sum + 5 * overall) / (count + 5);
    rows[rowOf.get(itemId)!]!.push([column, residual / Math.sqrt(support.get(itemId)! + 3)]);
  }
  return sparseMatrix(rows, users.size);
}
