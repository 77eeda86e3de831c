import { type DatasetInteraction, holdOut, rewardOfRating } from '../../../cli/replay/datasets/dataset.ts';
import type { Rating, RatingsData } from '../../../cli/replay/datasets/ratings.ts';
import { InvalidInputError } from '../../../shared/errors.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { type Embeddings, itemsOf } from '../embeddings.ts';

/**
 * One user's interactions in one sitting: up to five, predicted together and then learned together.
 */
export interface Batch {
  readonly userId: string;
  /** Counts the user's batches from 0. */
  readonly index: number;
  readonly interactions: readonly DatasetInteraction[];
  /** Epoch milliseconds of the last interaction. */
  readonly at: number;
  /** Whether no later batch of this user follows. */
  readonly last: boolean;
}

/** Users in two halves: one only builds the item embeddings, the other is online. */
export interface Split {
  readonly items: ReadonlyMap<string, Float32Array>;
  /** g0, mean reward of the other half. */
  readonly meanReward: number;
  /** Per item, Σ(r − that user's mean) over the other half, and the number of ratings. */
  readonly itemMeans: ReadonlyMap<string, { readonly sum: number; readonly count: number }>;
  /** Events of the users online, in global time order. */
  readonly batches: readonly Batch[];
  /** The last fifth of each online user's interactions, by user. */
  readonly heldOut: ReadonlyMap<string, readonly DatasetInteraction[]>;
  /** Events of the other half, in global time order; nothing is held out. */
  readonly otherBatches: readonly Batch[];
}

export const BATCH_SIZE = 5;
const MAX_INTERACTIONS = 300;
/** Users with fewer are left out. */
const MIN_INTERACTIONS = 20;

/**
 * @param users most online users; the seed chooses them
 * @throws InvalidInputError when no user is left to go online
 */
export function splitUsers(
  data: RatingsData,
  {
    seed,
    embeddings,
    users = Number.POSITIVE_INFINITY,
  }: { seed: number; embeddings: Embeddings; users?: number },
): Split {
  const { ratings } = data;
  const userIds = [...new Set(ratings.map(({ userId }) => userId))].sort();
  createRandom(`split ${seed}`).shuffle(userIds);
  const online = new Set(userIds.slice(0, Math.floor(userIds.length / 2)));
  const known = ratings.filter(({ userId }) => !online.has(userId));
  const items = itemsOf(data, { embeddings, online, seed });

  const streams = streamsOf(ratings);
  const onlineIds = userIds.filter((id) => online.has(id) && streams.has(id)).slice(0, users);
  if (onlineIds.length === 0) {
    throw new InvalidInputError('ratings', 'no user online', `users with ${MIN_INTERACTIONS} ratings`);
  }
  const heldOut = new Map<string, DatasetInteraction[]>();
  const batches: Batch[] = [];
  for (const userId of onlineIds) {
    const { train, test } = holdOut(streams.get(userId)!);
    heldOut.set(userId, test);
    batches.push(...batchesOf(userId, train));
  }
  const otherBatches = userIds
    .filter((id) => !online.has(id))
    .flatMap((id) => batchesOf(id, streams.get(id) ?? []));
  return {
    items,
    meanReward: known.reduce((sum, { rating }) => sum + rewardOfRating(rating), 0) / known.length,
    itemMeans: itemMeansOf(known),
    batches: batches.sort(inTime),
    heldOut,
    otherBatches: otherBatches.sort(inTime),
  };
}

/** Users with enough interactions, each with the first 300 in time order. */
function streamsOf(ratings: readonly Rating[]): Map<string, DatasetInteraction[]> {
  const streams = new Map<string, DatasetInteraction[]>();
  for (const [userId, rated] of Map.groupBy(ratings, ({ userId }) => userId)) {
    if (rated.length < MIN_INTERACTIONS) continue;
    const interactions = rated.map(({ itemId, rating, timestamp }) => ({
      itemId,
      rating,
      reward: rewardOfRating(rating),
      at: timestamp * 1000,
    }));
    interactions.sort((a, b) => a.at - b.at || (a.itemId < b.itemId ? -1 : 1));
    streams.set(userId, interactions.slice(0, MAX_INTERACTIONS));
  }
  return streams;
}

function batchesOf(userId: string, interactions: readonly DatasetInteraction[]): Batch[] {
  const batches: Batch[] = [];
  for (let start = 0; start < interactions.length; start += BATCH_SIZE) {
    const part = interactions.slice(start, start + BATCH_SIZE);
    batches.push({
      userId,
      index: start / BATCH_SIZE,
      interactions: part,
      at: part[part.length - 1]!.at,
      last: start + BATCH_SIZE >= interactions.length,
    });
  }
  return batches;
}

function itemMeansOf(ratings: readonly Rating[]): Split['itemMeans'] {
  const users = new Map<string, { sum: number; count: number }>();
  for (const { userId, rating } of ratings) {
    const user = users.get(userId) ?? { sum: 0, count: 0 };
    users.set(userId, { sum: user.sum + rewardOfRating(rating), count: user.count + 1 });
  }
  const items = new Map<string, { sum: number; count: number }>();
  for (const { userId, itemId, rating } of ratings) {
    const { sum, count } = users.get(userId)!;
    const item = items.get(itemId) ?? { sum: 0, count: 0 };
    items.set(itemId, { sum: item.sum + rewardOfRating(rating) - sum / count, count: item.count + 1 });
  }
  return items;
}

/** Batches of one user keep their order: a user's later batch is never earlier. */
function inTime(a: Batch, b: Batch): number {
  if (a.at !== b.at) return a.at - b.at;
  if (a.userId !== b.userId) return a.userId < b.userId ? -1 : 1;
  return a.index - b.index;
}

/** The same events with randomly exchanged items, so that nothing can be learned from them. */
export function withItemsShuffled(split: Split, seed: number): Split {
  const all = [
    ...split.batches.flatMap(({ interactions }) => interactions),
    ...[...split.heldOut.values()].flat(),
  ];
  const itemIds = createRandom(`control ${seed}`).shuffle(all.map(({ itemId }) => itemId));
  const exchanged = new Map(
    all.map((interaction, i) => [interaction, { ...interaction, itemId: itemIds[i]! }]),
  );
  const exchange = (interactions: readonly DatasetInteraction[]) =>
    interactions.map((interaction) => exchanged.get(interaction)!);
  return {
    ...split,
    batches: split.batches.map((batch) => ({ ...batch, interactions: exchange(batch.interactions) })),
    heldOut: new Map([...split.heldOut].map(([userId, held]) => [userId, exchange(held)])),
  };
}
