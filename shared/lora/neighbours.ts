import { cholesky, choleskyInverse, packedLength } from './symmetric.ts';

/**
 * Items that users pick together, beyond what their embeddings say: item-to-item weights in the
 * unit of ψ·m. The lists of a user's picks are added. Items are identified by 64-bit keys, in
 * ascending order.
 */
export interface Neighbours {
  readonly keys: BigUint64Array;
  /** Where the list of each item ends, exclusive; the first begins at 0. */
  readonly ends: Uint32Array;
  /** The neighbours as positions in `keys`, the strongest of each list first. */
  readonly neighbours: Uint32Array;
  /** The gain of each neighbour. */
  readonly weights: Float16Array;
}

/**
 * Strength of the prior of an item-to-item weight, and how much a unit of it moves a score:
 * measured by `npm run bench:ranking`.
 */
const REGULARIZATION = 50;
const STRENGTH = 8;
/** Smaller weights would change no ranking. */
const SMALLEST = 1e-4;
/** Bounds the size of the object. */
const LONGEST_LIST = 64;
/**
 * A single picker gives no information about others, and the list would reveal that user's picks.
 */
const MIN_PICKERS = 2;
/** Most items with a list, those with most pickers; their lists take at most 20 MB. */
const MAX_ITEMS = 50_000;

/** Most users to learn lists from, and most picks of each, the newest. */
const MAX_USERS = 1_000;
const MAX_PICKS = 256;

/**
 * The picks to learn lists from: those of the users with most picks, because they carry most
 * information.
 * @param picks by user, each oldest first
 * @param users most users to keep; default 1,000
 */
export function mostTelling(picks: readonly BigUint64Array[], users = MAX_USERS): BigUint64Array[] {
  const most = picks.toSorted((a, b) => b.length - a.length).slice(0, users);
  return most.map((list) => list.slice(-MAX_PICKS));
}

/**
 * EASE^R (Steck, Embarrassingly Shallow Autoencoders for Sparse Data, 2019) through the users' Gram
 * matrix, which is small while users are sampled: with X the picks, users × items, M = (XXᵀ + λI)⁻¹
 * and h_j = x_jᵀMx_j, the weight from item i to item j is x_iᵀMx_j/(1 − h_j). O(U³ + Σ_u
 * n_u²·pickers); only items that somebody picked together get a weight.
 * @param picks the keys of the items that each user picked, at most a few thousand users
 * @returns undefined where no item has been picked by two users
 */
export function fitNeighbours(picks: readonly BigUint64Array[]): Neighbours | undefined {
  const keys = itemsOf(picks);
  const at = new Map(Array.from(keys, (key, i) => [key, i]));
  const users = picks
    .map((list) => Int32Array.from([...new Set(list)].flatMap((key) => at.get(key) ?? [])))
    .filter((list) => list.length > 1);
  if (users.length === 0) return undefined;
  const pickers = pickersOf(users, keys.length);
  const inverse = inverseGram(pickers, users.length);
  const rest = pickers.map((row) => 1 - sumOver(row, rowSum(inverse, row, users.length)));
  const lists = new ListBuilder(keys.length);
  pickers.forEach((row, item) => {
    const query = rowSum(inverse, row, users.length);
    for (const other of lists.pickedWith(item, row, users))
      lists.offer(other, (STRENGTH * sumOver(pickers[other]!, query)) / rest[other]!);
    lists.close();
  });
  return { keys, ...lists.finish() };
}

/** Keeps the strongest neighbours of one item after another, in buffers that all items share. */
class ListBuilder {
  readonly #seenFor: Int32Array;
  readonly #others: Uint32Array;
  readonly #weights: Float64Array;
  readonly #ends: number[] = [];
  readonly #neighbours: number[] = [];
  readonly #kept: number[] = [];
  #size = 0;

  constructor(items: number) {
    this.#seenFor = new Int32Array(items).fill(-1);
    this.#others = new Uint32Array(items);
    this.#weights = new Float64Array(items);
  }

  /** The other items that the pickers of an item picked, each once. */
  *pickedWith(item: number, pickers: Int32Array, users: readonly Int32Array[]): Generator<number> {
    this.#seenFor[item] = item;
    for (const user of pickers)
      for (const other of users[user]!) {
        if (this.#seenFor[other] === item) continue;
        this.#seenFor[other] = item;
        yield other;
      }
  }

  offer(other: number, weight: number): void {
    if (Math.abs(weight) < SMALLEST) return;
    this.#others[this.#size] = other;
    this.#weights[this.#size++] = weight;
  }

  /** Ends the list of an item. */
  close(): void {
    const weights = this.#weights.subarray(0, this.#size);
    const least = weights.slice().sort().at(-LONGEST_LIST) ?? Number.NEGATIVE_INFINITY;
    const strongest: number[] = [];
    for (let i = 0; i < weights.length; i++) if (weights[i]! >= least) strongest.push(i);
    const others = this.#others;
    strongest.sort((a, b) => weights[b]! - weights[a]! || others[a]! - others[b]!);
    for (const i of strongest.slice(0, LONGEST_LIST)) {
      this.#neighbours.push(others[i]!);
      this.#kept.push(weights[i]!);
    }
    this.#ends.push(this.#kept.length);
    this.#size = 0;
  }

  finish(): Omit<Neighbours, 'keys'> {
    return {
      ends: Uint32Array.from(this.#ends),
      neighbours: Uint32Array.from(this.#neighbours),
      weights: Float16Array.from(this.#kept),
    };
  }
}

function pickersOf(users: readonly Int32Array[], items: number): Int32Array[] {
  const pickers: number[][] = Array.from({ length: items }, () => []);
  users.forEach((list, user) => {
    for (const item of list) pickers[item]!.push(user);
  });
  return pickers.map((row) => Int32Array.from(row));
}

/**
 * Gains of items from a user's picks, by their positions in `keys`; undefined when there are none.
 * A pick gains nothing from itself.
 */
export function neighbourGains(
  { keys, ends, neighbours, weights }: Neighbours,
  picked: Iterable<bigint>,
): Float64Array | undefined {
  let gains: Float64Array | undefined;
  for (const key of picked) {
    const item = positionOf(keys, key);
    if (item === -1) continue;
    gains ??= new Float64Array(keys.length);
    for (let i = item === 0 ? 0 : ends[item - 1]!; i < ends[item]!; i++)
      gains[neighbours[i]!]! += weights[i]!;
  }
  return gains;
}

/** Index of a key in ascending keys; −1 when it is missing. */
export function positionOf(keys: BigUint64Array, key: bigint): number {
  let low = 0;
  let high = keys.length - 1;
  while (low <= high) {
    const middle = (low + high) >>> 1;
    const found = keys[middle]!;
    if (found === key) return middle;
    if (found < key) low = middle + 1;
    else high = middle - 1;
  }
  return -1;
}

/** The items picked by enough users, in rising order of their keys. */
function itemsOf(picks: readonly BigUint64Array[]): BigUint64Array {
  const pickers = new Map<bigint, number>();
  for (const list of picks) for (const key of new Set(list)) pickers.set(key, (pickers.get(key) ?? 0) + 1);
  const items = [...pickers].filter(([, count]) => count >= MIN_PICKERS);
  if (items.length > MAX_ITEMS) items.sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  return BigUint64Array.from(items.slice(0, MAX_ITEMS), ([key]) => key).sort();
}

/** (XXᵀ + λI)⁻¹ in full, order `users`. */
function inverseGram(pickers: readonly Int32Array[], users: number): Float64Array {
  const gram = new Float64Array(packedLength(users));
  for (const row of pickers)
    for (const a of row) for (const b of row) if (b <= a) gram[packedLength(a) + b]! += 1;
  for (let user = 0; user < users; user++) gram[packedLength(user) + user]! += REGULARIZATION;
  const packed = choleskyInverse(cholesky(gram, users)!, users);
  const inverse = new Float64Array(users * users);
  for (let a = 0, i = 0; a < users; a++)
    for (let b = 0; b <= a; b++, i++) {
      inverse[a * users + b] = packed[i]!;
      inverse[b * users + a] = packed[i]!;
    }
  return inverse;
}

function rowSum(matrix: Float64Array, rows: Int32Array, length: number): Float64Array {
  const sum = new Float64Array(length);
  for (const row of rows) {
    const at = row * length;
    for (let i = 0; i < length; i++) sum[i]! += matrix[at + i]!;
  }
  return sum;
}

function sumOver(places: Int32Array, values: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < places.length; i++) sum += values[places[i]!]!;
  return sum;
}
