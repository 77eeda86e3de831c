import { InvalidInputError, shown } from '../../../shared/errors.ts';
import { createRandom, type Random } from '../../../shared/lora/random.ts';
import { type DatasetInteraction, type FeedbackDataset, rewardOfRating } from './dataset.ts';

export interface SimulatorOptions {
  readonly users: number;
  readonly items: number;
  /** At most `items`, because a user never meets an item twice. */
  readonly interactionsPerUser: number;
  /** 16 to 4096. */
  readonly embeddingDim: number;
  readonly seed: number | string;
}

const GENRES = 8;
const USER_GROUPS = 4;
const START = Date.UTC(2025, 0, 1);
const HOUR = 3_600_000;

/** Standard deviations, in units of reward, near those of MovieLens; `MEAN` is its mean reward. */
const MEAN = 0.67;
const QUALITY = 0.08;
const OFFSET = 0.09;
const TASTE = { everyone: 0.07, group: 0.1, own: 0.1 } as const;
const NOISE = 0.14;

interface Item {
  readonly id: string;
  /** Unit length; its first coordinate is .5 for every item. */
  readonly embedding: Float32Array;
  /** Its id and genres. */
  readonly title: string;
  /** Its effect on everyone's reward, beyond its genres. */
  readonly quality: number;
  /** Relative chance to be met. */
  readonly popularity: number;
}

/**
 * Simulated users with tastes, from a seed: see docs/simulator.md. A larger number of users, or of
 * interactions per user, keeps the first ones.
 * @throws InvalidInputError when an option is out of range
 */
export function simulate(options: SimulatorOptions): FeedbackDataset {
  const { users, items, interactionsPerUser, embeddingDim, seed } = options;
  checkRange('users', users, 1, 1_000_000);
  checkRange('items', items, 1, 1_000_000);
  checkRange('interactionsPerUser', interactionsPerUser, 1, items);
  checkRange('embeddingDim', embeddingDim, 16, 4096);

  const random = createRandom(`simulator ${seed}`);
  const genres = Array.from({ length: GENRES }, () => direction(embeddingDim - 1, random));
  const everyone = genreTaste(TASTE.everyone, random);
  const groups = Array.from({ length: USER_GROUPS }, () => genreTaste(TASTE.group, random));
  const catalogue = Array.from({ length: items }, (_, index) => createItem(index, genres, random));

  const simulated = Array.from({ length: users }, (_, index) => {
    const userRandom = createRandom(`simulator ${seed} user ${index}`);
    const group = groups[userRandom.integer(USER_GROUPS)]!;
    const own = genreTaste(TASTE.own, userRandom);
    const taste = combine(
      genres,
      own.map((value, genre) => value + everyone[genre]! + group[genre]!),
    );
    const base = MEAN + OFFSET * userRandom.normal();
    const rate = ({ embedding, quality }: Item) => {
      const liking = taste.reduce((sum, value, i) => sum + value * embedding[i + 1]!, 0);
      return base + quality + liking + NOISE * userRandom.normal();
    };
    return {
      userId: `user-${serial(index)}`,
      interactions: meet(catalogue, interactionsPerUser, rate, userRandom),
    };
  });
  return {
    name: 'simulator',
    items: new Map(catalogue.map(({ id, embedding }) => [id, embedding])),
    titles: new Map(catalogue.map(({ id, title }) => [id, title])),
    users: simulated,
  };
}

function createItem(index: number, genres: readonly Float64Array[], random: Random): Item {
  const shares = new Array<number>(GENRES).fill(0);
  shares[random.integer(GENRES)]! += 1;
  if (random.next() < 0.5) shares[random.integer(GENRES)]! += 0.5;
  const shade = direction(genres[0]!.length, random);
  const content = combine(genres, shares).map((value, i) => value + 0.6 * shade[i]!);
  const scale = Math.sqrt(0.75) / Math.hypot(...content);
  const genresOf = shares.flatMap((share, genre) => (share > 0 ? [String.fromCharCode(65 + genre)] : []));
  return {
    id: `item-${serial(index)}`,
    title: `item-${serial(index)} (genre ${genresOf.join(' and ')})`,
    embedding: Float32Array.of(0.5, ...content.map((value) => value * scale)),
    quality: QUALITY * random.normal(),
    popularity: (index + 1) ** -0.8,
  };
}

/**
 * A user meets items by popularity, none twice: ordered by exponential arrival times with the
 * popularities as rates (Efraimidis & Spirakis 2006). Hours pass between them.
 */
function meet(
  catalogue: readonly Item[],
  count: number,
  rate: (item: Item) => number,
  random: Random,
): DatasetInteraction[] {
  const arrivals = catalogue.map((item) => ({ item, arrival: exponential(random) / item.popularity }));
  let at = START + Math.floor(random.next() * 365 * 24) * HOUR;
  return arrivals
    .sort((a, b) => a.arrival - b.arrival)
    .slice(0, count)
    .map(({ item }) => {
      at += 1000 + Math.floor(6 * HOUR * exponential(random));
      const stars = Math.round(2 * (0.5 + 4.5 * rate(item))) / 2;
      const rating = Math.min(5, Math.max(0.5, stars));
      return { itemId: item.id, rating, reward: rewardOfRating(rating), at };
    });
}

/** How much more or less than average each genre is liked. */
function genreTaste(deviation: number, random: Random): number[] {
  return Array.from({ length: GENRES }, () => deviation * random.normal());
}

function combine(genres: readonly Float64Array[], weights: readonly number[]): Float64Array {
  const sum = new Float64Array(genres[0]!.length);
  genres.forEach((genre, g) => {
    for (let i = 0; i < sum.length; i++) sum[i]! += weights[g]! * genre[i]!;
  });
  return sum;
}

/** Uniform on the unit sphere. */
function direction(length: number, random: Random): Float64Array {
  const vector = Float64Array.from({ length }, () => random.normal());
  const norm = Math.hypot(...vector);
  return vector.map((value) => value / norm);
}

function exponential(random: Random): number {
  return -Math.log(1 - random.next());
}

function serial(index: number): string {
  return String(index + 1).padStart(4, '0');
}

function checkRange(field: string, value: number, minimum: number, maximum: number): void {
  if (!Number.isInteger(value) || value < minimum || value > maximum) {
    throw new InvalidInputError(field, shown(value), `an integer from ${minimum} to ${maximum}`);
  }
}
