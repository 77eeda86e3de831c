import type { RatingsData } from '../../../cli/replay/datasets/ratings.ts';
import { InvalidInputError } from '../../../shared/errors.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { type Embeddings, itemsOf } from '../embeddings.ts';

/** Up to five items that one user picked in one sitting. Users and items are numbered from 0. */
export interface PickEvent {
  readonly user: number;
  readonly items: Int32Array;
  /** Epoch milliseconds of the last pick. */
  readonly at: number;
  /** Whether no later event of this user follows. */
  readonly last: boolean;
}

/** Data and tasks of all rows of one split. */
export interface Split {
  readonly itemIds: readonly string[];
  /** By item. */
  readonly embeddings: readonly Float32Array[];
  /** Of the users online, by user. */
  readonly userIds: readonly string[];
  /** Of the users online, in order of time. */
  readonly events: readonly PickEvent[];
  /** The last fifth of every online user's picks, by user. */
  readonly heldOut: readonly Int32Array[];
  /**
   * All picks of a user that are not held out, by user: no candidates at any stage, so that stages
   * compare.
   */
  readonly interacted: readonly Int32Array[];
  /**
   * Of the other half, in order of time, nothing held out; users are numbered after those online.
   */
  readonly otherEvents: readonly PickEvent[];
  readonly seed: number;
}

export interface SplitOptions {
  readonly seed: number;
  /**
   * Embeddings of a kind are computed from the other half. Picks of items without an embedding are
   * dropped.
   */
  readonly embeddings: Embeddings;
  /** Online users at most; all unless given. */
  readonly users?: number | undefined;
}

const EVENT_SIZE = 5;
/** A pick is a rating of so many stars or more. */
const PICK_STARS = 4;
/** Users with fewer ratings are left out, and ratings beyond the first 300. */
const MIN_RATINGS = 20;
const MAX_RATINGS = 300;
/** A fifth of a user's picks is held out, rounded up, and at least four. */
const HELD_OUT_PART = 5;
const MIN_HELD_OUT = 4;
/** One event to learn from, and the picks held out. */
const MIN_PICKS = EVENT_SIZE + MIN_HELD_OUT;

interface Pick {
  readonly item: number;
  readonly at: number;
}

/**
 * Half of the users, chosen by the seed, are online; the other half only makes the embeddings.
 * @throws InvalidInputError when no user is left to go online, or given embeddings miss every item
 */
export function splitPicks(data: RatingsData, { seed, embeddings, users }: SplitOptions): Split {
  const userIds = [...new Set(data.ratings.map(({ userId }) => userId))].sort();
  createRandom(`split ${seed}`).shuffle(userIds);
  const half = Math.floor(userIds.length / 2);
  const online = new Set(userIds.slice(0, half));

  const items = itemsOf(data, { embeddings, online, seed });
  const itemIds = [...items.keys()];
  const itemOf = new Map(itemIds.map((id, item) => [id, item]));
  const streams = streamsOf(data, itemOf);
  const ranked = userIds
    .slice(0, half)
    .filter((id) => (streams.get(id)?.length ?? 0) >= MIN_PICKS)
    .slice(0, users);
  if (ranked.length === 0) {
    throw new InvalidInputError('ratings', 'no user online', `users with ${MIN_PICKS} picks`);
  }
  const events: PickEvent[] = [];
  const interacted: Int32Array[] = [];
  const heldOut = ranked.map((id, user) => {
    const stream = streams.get(id)!;
    const held = Math.max(MIN_HELD_OUT, Math.ceil(stream.length / HELD_OUT_PART));
    const train = stream.slice(0, -held);
    const test = stream.slice(-held);
    events.push(...eventsOf(user, train));
    interacted.push(Int32Array.from(train, ({ item }) => item));
    return Int32Array.from(test, ({ item }) => item);
  });
  const otherEvents = userIds
    .slice(half)
    .filter((id) => streams.has(id))
    .flatMap((id, i) => eventsOf(ranked.length + i, streams.get(id)!));
  return {
    itemIds,
    embeddings: [...items.values()],
    userIds: ranked,
    events: events.sort(inTime),
    heldOut,
    interacted,
    otherEvents: otherEvents.sort(inTime),
    seed,
  };
}

/** The same events with randomly exchanged items, so that picks are random. */
export function withItemsShuffled(split: Split): Split {
  const all = [...split.events.map(({ items }) => items), ...split.heldOut];
  const items = createRandom(`control ${split.seed}`).shuffle(all.flatMap((some) => [...some]));
  let next = 0;
  const exchanged = all.map((some) => Int32Array.from(some, () => items[next++]!));
  return {
    ...split,
    events: split.events.map((event, i) => ({ ...event, items: exchanged[i]! })),
    heldOut: exchanged.slice(split.events.length),
  };
}

/**
 * Picks of users with enough ratings, in order of time, where the item decides between the same
 * second.
 */
function streamsOf({ ratings }: RatingsData, itemOf: ReadonlyMap<string, number>): Map<string, Pick[]> {
  const streams = new Map<string, Pick[]>();
  for (const [userId, rated] of Map.groupBy(ratings, (rating) => rating.userId)) {
    if (rated.length < MIN_RATINGS) continue;
    const first = rated
      .toSorted((a, b) => a.timestamp - b.timestamp || (a.itemId < b.itemId ? -1 : 1))
      .slice(0, MAX_RATINGS);
    streams.set(
      userId,
      first.flatMap(({ itemId, rating, timestamp }) => {
        const item = itemOf.get(itemId);
        return rating < PICK_STARS || item === undefined ? [] : [{ item, at: timestamp * 1000 }];
      }),
    );
  }
  return streams;
}

function eventsOf(user: number, picks: readonly Pick[]): PickEvent[] {
  const events: PickEvent[] = [];
  for (let start = 0; start < picks.length; start += EVENT_SIZE) {
    const part = picks.slice(start, start + EVENT_SIZE);
    events.push({
      user,
      items: Int32Array.from(part, ({ item }) => item),
      at: part.at(-1)!.at,
      last: start + EVENT_SIZE >= picks.length,
    });
  }
  return events;
}

/** A stable sort keeps the order of one user's events. */
function inTime(a: PickEvent, b: PickEvent): number {
  return a.at - b.at || a.user - b.user;
}
