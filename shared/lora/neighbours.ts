import { cholesky, choleskyInverse, packedLength } from './symmetric.ts';

/**
 * What users who picked an item also picked, beyond what its embedding says: item-to-item weights in the unit of ψ·m. A user's
 * picks add their lists. Items are named by 64-bit keys and stand in the order of their keys.
 */
export interface Neighbours {
  readonly keys: BigUint64Array;
  /** Where the list of each item ends, exclusive; the first begins at 0. */
  readonly ends: Uint32Array;
  /** The neighbours as positions in `keys`, the strongest of each list first. */
  readonly neighbours: Uint32Array;
  /** What each neighbour gains. */
  readonly weights: Float16Array;
}

/** Strength of the prior of an item-to-item weight, and how much a unit of it moves a score: measured by `npm run bench:ranking`. */
const REGULARIZATION = 50;
const STRENGTH = 8;
/** Longer lists rank no better. */
const LONGEST_LIST = 64;
/** An item that one user picked says nothing of others, and its list would show what that user picked. */
const MIN_PICKERS = 2;
/** The items with most pickers; their lists take 20 MB at most. */
const MAX_ITEMS = 50_000;

/** Users whom lists are learned from, and the newest picks of each. */
const MAX_USERS = 1_000;
const MAX_PICKS = 256;

/**
 * The picks to learn lists from: those of the users with most of them, who tell most of what goes together.
 * @param picks by user, each oldest first
 */
export function mostTelling(picks: readonly BigUint64Array[]): BigUint64Array[] {
  const most = picks.toSorted((a, b) => b.length - a.length).slice(0, MAX_USERS);
  return most.map((list) => list.slice(-MAX_PICKS));
}

/**
 * EASE^R (Steck, Embarrassingly Shallow Autoencoders for Sparse Data, 2019) through the users' Gram matrix, which is small while
 * users are sampled: with X the picks, users × items, M = (XXᵀ + λI)⁻¹ and h_j = x_jᵀMx_j, the weight from item i to item j is
 * x_iᵀMx_j/(1 − h_j). O(U³ + Σ_u n_u²·pickers); only items that somebody picked together get a weight.
 * @param picks the keys of the items that each user picked, at most a few thousand users
 * @returns undefined where no item has been picked by two users
 */
export function fitNeighbours(picks: readonly BigUint64Array[]): Neighbours | undefined {
  const keys = itemsOf(picks);
  const at = new Map(Array.from(keys, (key, i) => [key, i]));
  const users = picks
    .map((list) => [...new Set(list)].flatMap((key) => at.get(key) ?? []))
    .filter((list) => list.length > 1);
  if (users.length === 0) return undefined;
  const pickers: number[][] = Array.from(keys, () => []);
  users.forEach((list, user) => {
    for (const item of list) pickers[item]!.push(user);
  });
  const inverse = inverseGram(pickers, users.length);
  const rest = pickers.map((row) => 1 - sumOver(row, rowSum(inverse, row, users.length)));
  const lists = pickers.map((row, item) => {
    const query = rowSum(inverse, row, users.length);
    const together = new Set(row.flatMap((user) => users[user]!));
    together.delete(item);
    return [...together]
      .map((other) => ({ other, weight: (STRENGTH * sumOver(pickers[other]!, query)) / rest[other]! }))
      .filter(({ weight }) => Math.abs(weight) >= SMALLEST)
      .sort((a, b) => b.weight - a.weight || a.other - b.other)
      .slice(0, LONGEST_LIST);
  });
  let end = 0;
  return {
    keys,
    ends: Uint32Array.from(lists, (list) => (end += list.length)),
    neighbours: Uint32Array.from(lists.flatMap((list) => list.map(({ other }) => other))),
    weights: Float16Array.from(lists.flatMap((list) => list.map(({ weight }) => weight))),
  };
}

/** Smaller weights change no ranking. */
const SMALLEST = 1e-4;

/**
 * What the items gain from a user's picks, by their positions in `keys`; undefined where that is nothing. What a user picked gains
 * nothing from itself.
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

/** Where a key stands in keys in rising order, −1 where it does not. */
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
function inverseGram(pickers: readonly number[][], users: number): Float64Array {
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

function rowSum(matrix: Float64Array, rows: readonly number[], length: number): Float64Array {
  const sum = new Float64Array(length);
  for (const row of rows) {
    const at = row * length;
    for (let i = 0; i < length; i++) sum[i]! += matrix[at + i]!;
  }
  return sum;
}

function sumOver(places: readonly number[], values: Float64Array): number {
  let sum = 0;
  for (const place of places) sum += values[place]!;
  return sum;
}
