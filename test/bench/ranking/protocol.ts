import { rewardOfRating } from '../../../cli/replay/datasets/dataset.ts';
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
  /**
   * Everything that the user rated since the event before, the picks among it, in order of time.
   */
  readonly rated: readonly Rated[];
}

/** A rating as a reward. */
export interface Rated {
  readonly item: number;
  /** In [0, 1]. */
  readonly reward: number;
  /** Epoch milliseconds. */
  readonly at: number;
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
  /** The same of all ratings: no candidates for rows that learn from ratings. */
  readonly rated: readonly Int32Array[];
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

interface Stream {
  /** All that the user rated, in order of time. */
  readonly rated: readonly Rated[];
  /** Those of them that are picks, with their place in `rated`. */
  readonly picks: readonly Pick[];
}

interface Pick extends Rated {
  readonly place: number;
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
    .filter((id) => (streams.get(id)?.picks.length ?? 0) >= MIN_PICKS)
    .slice(0, users);
  if (ranked.length === 0) {
    throw new InvalidInputError('ratings', 'no user online', `users with ${MIN_PICKS} picks`);
  }
  const events: PickEvent[] = [];
  const interacted: Int32Array[] = [];
  const rated: Int32Array[] = [];
  const heldOut = ranked.map((id, user) => {
    const stream = streams.get(id)!;
    const held = Math.max(MIN_HELD_OUT, Math.ceil(stream.picks.length / HELD_OUT_PART));
    const train = stream.picks.slice(0, -held);
    const test = stream.picks.slice(-held);
    const published = eventsOf(user, train, stream.rated);
    events.push(...published);
    interacted.push(Int32Array.from(train, ({ item }) => item));
    rated.push(Int32Array.from(published.flatMap((event) => event.rated.map(({ item }) => item))));
    return Int32Array.from(test, ({ item }) => item);
  });
  const otherEvents = userIds
    .slice(half)
    .filter((id) => streams.has(id))
    .flatMap((id, i) => {
      const { picks, rated } = streams.get(id)!;
      return eventsOf(ranked.length + i, picks, rated);
    });
  return {
    itemIds,
    embeddings: [...items.values()],
    userIds: ranked,
    events: events.sort(inTime),
    heldOut,
    interacted,
    rated,
    otherEvents: otherEvents.sort(inTime),
    seed,
  };
}

/** Items shown without a pick, for each pick. */
const SHOWN = 4;

/**
 * The same picks, each among four items that were shown without being picked, drawn by how often
 * everyone has picked them so far. Nothing else is rated.
 */
export function withShown(split: Split): Split {
  const random = createRandom(`shown ${split.seed}`);
  const picked: number[] = [];
  const shown = (item: number, at: number): Rated[] => {
    const others = Array.from({ length: picked.length === 0 ? 0 : SHOWN }, () => ({
      item: picked[random.integer(picked.length)]!,
      reward: 0,
      at,
    }));
    return [{ item, reward: 1, at }, ...others.filter((other) => other.item !== item)];
  };
  const eventsOf = (events: readonly PickEvent[]) =>
    events.map((event) => {
      const rated = [...event.items].flatMap((item) => shown(item, event.at));
      picked.push(...event.items);
      return { ...event, rated };
    });
  const otherEvents = eventsOf(split.otherEvents);
  picked.length = 0;
  return { ...split, events: eventsOf(split.events), otherEvents };
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
 * Ratings and picks of users with enough ratings, in order of time, where the item decides between
 * the same second.
 */
function streamsOf({ ratings }: RatingsData, itemOf: ReadonlyMap<string, number>): Map<string, Stream> {
  const streams = new Map<string, Stream>();
  for (const [userId, all] of Map.groupBy(ratings, (rating) => rating.userId)) {
    if (all.length < MIN_RATINGS) continue;
    const first = all
      .toSorted((a, b) => a.timestamp - b.timestamp || (a.itemId < b.itemId ? -1 : 1))
      .slice(0, MAX_RATINGS)
      .filter(({ itemId }) => itemOf.has(itemId));
    const rated = first.map(({ itemId, rating, timestamp }) => ({
      item: itemOf.get(itemId)!,
      reward: rewardOfRating(rating),
      at: timestamp * 1000,
    }));
    const picks = rated.flatMap((rating, place) =>
      first[place]!.rating < PICK_STARS ? [] : [{ ...rating, place }],
    );
    streams.set(userId, { rated, picks });
  }
  return streams;
}

function eventsOf(user: number, picks: readonly Pick[], rated: readonly Rated[]): PickEvent[] {
  const events: PickEvent[] = [];
  let from = 0;
  for (let start = 0; start < picks.length; start += EVENT_SIZE) {
    const part = picks.slice(start, start + EVENT_SIZE);
    const { at, place } = part.at(-1)!;
    events.push({
      user,
      items: Int32Array.from(part, ({ item }) => item),
      at,
      last: start + EVENT_SIZE >= picks.length,
      rated: rated.slice(from, place + 1),
    });
    from = place + 1;
  }
  return events;
}

/** A stable sort keeps the order of one user's events. */
function inTime(a: PickEvent, b: PickEvent): number {
  return a.at - b.at || a.user - b.user;
}
