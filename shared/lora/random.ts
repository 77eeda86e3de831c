import { InvalidInputError, shown } from '../errors.ts';

/** A stream of pseudo-random numbers: the same seed gives the same stream on every machine. */
export interface Random {
  /** Uniform in [0, 1), with 53 random bits. */
  next(): number;
  /** Standard normal. */
  normal(): number;
  /** Uniform among 0, 1, …, n − 1. */
  integer(n: number): number;
  /** Shuffles in place (Fisher & Yates) and returns the same array. */
  shuffle<T>(array: T[]): T[];
}

/**
 * A seeded generator; not for secrets. A number gives the same stream as its decimal text: `7` is
 * `'7'`.
 * @throws InvalidInputError when the seed is NaN or infinite
 */
export function createRandom(seed: number | string): Random {
  if (typeof seed === 'number' && !Number.isFinite(seed)) {
    throw new InvalidInputError('seed', shown(seed), 'a finite number or a string');
  }
  const bits = xoshiro128StarStar(hash128(String(seed)));
  let spare: number | undefined;

  const next = () => ((bits() >>> 5) * 2 ** 26 + (bits() >>> 6)) / 2 ** 53;

  // Marsaglia's polar method (Marsaglia & Bray 1964): two normals per accepted pair; the second is
  // kept for the next call.
  const normal = () => {
    if (spare !== undefined) {
      const kept = spare;
      spare = undefined;
      return kept;
    }
    for (;;) {
      const u = 2 * next() - 1;
      const v = 2 * next() - 1;
      const square = u * u + v * v;
      if (square === 0 || square >= 1) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      spare = v * factor;
      return u * factor;
    }
  };

  const integer = (n: number) => {
    if (!Number.isInteger(n) || n < 1 || n > 2 ** 32) {
      throw new InvalidInputError('n', shown(n), 'an integer from 1 to 2^32');
    }
    return Math.floor(next() * n);
  };

  const shuffle = <T>(array: T[]) => {
    for (let last = array.length - 1; last > 0; last--) {
      const other = integer(last + 1);
      const kept = array[last] as T;
      array[last] = array[other] as T;
      array[other] = kept;
    }
    return array;
  };

  return { next, normal, integer, shuffle };
}

/**
 * xoshiro128** 1.1 (Blackman & Vigna 2018, "Scrambled linear pseudorandom number generators").
 * @param state four words that are not all zero
 * @returns the next 32 bits, as an unsigned integer, at every call
 */
export function xoshiro128StarStar(state: Uint32Array): () => number {
  let [a = 0, b = 0, c = 0, d = 0] = state;
  return () => {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotateLeft(d, 11);
    return result;
  };
}

/**
 * Four words from a text: MurmurHash3's steps (Appleby 2011) over its UTF-16 units, from four
 * starts.
 */
function hash128(text: string): Uint32Array {
  return Uint32Array.from([1, 2, 3, 4], (start) => {
    let h = Math.imul(start, 0x9e3779b9) ^ text.length;
    for (let i = 0; i < text.length; i++) {
      const k = Math.imul(rotateLeft(Math.imul(text.charCodeAt(i), 0xcc9e2d51), 15), 0x1b873593);
      h = (Math.imul(rotateLeft(h ^ k, 13), 5) + 0xe6546b64) | 0;
    }
    h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
    return h ^ (h >>> 16);
  });
}

function rotateLeft(word: number, count: number): number {
  return (word << count) | (word >>> (32 - count));
}
