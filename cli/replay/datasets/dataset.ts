import { basename, resolve } from 'node:path';
import { InvalidInputError, shown } from '../../../shared/errors.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { type EmbeddingKind, itemEmbeddings } from './item-embeddings.ts';
import { loadRatings, type Movie, type Rating } from './ratings.ts';

/** One user's interaction with one item. */
export interface DatasetInteraction {
  readonly itemId: string;
  /** In [0, 1]. */
  readonly reward: number;
  /** The stars that give the reward, 0.5 to 5. */
  readonly rating?: number;
  /** Epoch milliseconds. */
  readonly at: number;
}

export interface DatasetUser {
  readonly userId: string;
  /** In time order. */
  readonly interactions: readonly DatasetInteraction[];
}

/** Feedback to replay, and an embedding of unit length for every item of the catalogue. */
export interface FeedbackDataset {
  readonly name: string;
  readonly items: ReadonlyMap<string, Float32Array>;
  /** Titles of items, if known. */
  readonly titles: ReadonlyMap<string, string>;
  readonly users: readonly DatasetUser[];
}

export interface MovielensOptions {
  /** How many users to replay. */
  readonly users: number;
  /** Most interactions per user; default 300. */
  readonly interactionsPerUser?: number;
  /** 64 unless given. */
  readonly embeddingDim?: number;
  /** `hybrid` unless given. */
  readonly embeddings?: EmbeddingKind;
  readonly seed: number | string;
}

/** Least ratings of a replayed user, so that enough is left to learn from and to rank. */
const MINIMUM_RATINGS = 20;

/**
 * Reads a data set in MovieLens format as feedback. The seed chooses the users to replay. Item
 * embeddings come from movies and from the ratings and tags of all other users, so that they reveal
 * nothing about a replayed user. A larger number of users with the same seed includes the smaller
 * one.
 * @throws InvalidInputError when too few users have 20 ratings, or a file is malformed
 * @throws NotFoundError when the folder or a file is missing
 */
export function movielensDataset(folder: string, options: MovielensOptions): FeedbackDataset {
  const { users, interactionsPerUser = 300, embeddingDim = 64, embeddings = 'hybrid', seed } = options;
  atLeastOne('users', users);
  atLeastOne('interactionsPerUser', interactionsPerUser);
  const { movies, ratings, tags } = loadRatings(folder);

  const byUser = Map.groupBy(ratings, ({ userId }) => userId);
  const eligible = [...byUser.keys()].filter((id) => byUser.get(id)!.length >= MINIMUM_RATINGS).sort();
  if (users > eligible.length) {
    const expected = `at most ${eligible.length}, the users with ${MINIMUM_RATINGS} ratings or more in ${folder}`;
    throw new InvalidInputError('users', String(users), expected);
  }
  const chosen = createRandom(`users ${seed}`).shuffle(eligible).slice(0, users);

  const replayed = new Set(chosen);
  const catalogue = new Map<string, Movie>(movies);
  for (const { itemId } of ratings)
    if (!catalogue.has(itemId)) catalogue.set(itemId, { title: '', genres: [] });
  const known = {
    movies: catalogue,
    ratings: ratings.filter(({ userId }) => !replayed.has(userId)),
    tags: tags.filter(({ userId }) => !replayed.has(userId)),
  };
  return {
    name: basename(resolve(folder)),
    items: itemEmbeddings(known, { dim: embeddingDim, kind: embeddings, seed }),
    titles: new Map([...catalogue].map(([itemId, { title }]) => [itemId, title])),
    users: chosen.map((userId) => ({
      userId,
      interactions: byUser.get(userId)!.map(interaction).sort(byTime).slice(0, interactionsPerUser),
    })),
  };
}

/** The reward of a rating: 0.5 stars are 0, 5 stars are 1. */
export function rewardOfRating(rating: number): number {
  return (rating - 0.5) / 4.5;
}

/**
 * Splits a user's interactions by time: the last `fraction` of them, but at least `minimum`, are
 * the test set. With `minimum` interactions or fewer, no training set is left.
 */
export function holdOut<T extends { readonly at: number }>(
  interactions: readonly T[],
  fraction = 0.2,
  minimum = 4,
): { train: T[]; test: T[] } {
  if (!(fraction >= 0 && fraction <= 1))
    throw new InvalidInputError('fraction', shown(fraction), 'a number from 0 to 1');
  const inOrder = interactions.toSorted((a, b) => a.at - b.at);
  const held = Math.max(minimum, Math.floor(fraction * inOrder.length));
  const border = Math.max(0, inOrder.length - held);
  return { train: inOrder.slice(0, border), test: inOrder.slice(border) };
}

function interaction({ itemId, rating, timestamp }: Rating): DatasetInteraction {
  return { itemId, rating, reward: rewardOfRating(rating), at: timestamp * 1000 };
}

/** Many ratings have the same second; the item breaks ties. */
function byTime(a: DatasetInteraction, b: DatasetInteraction): number {
  return a.at - b.at || (a.itemId < b.itemId ? -1 : a.itemId > b.itemId ? 1 : 0);
}

function atLeastOne(field: string, value: number): void {
  if (!Number.isInteger(value) || value < 1)
    throw new InvalidInputError(field, shown(value), 'an integer of at least 1');
}
