import { describe, expect, test } from 'vitest';
import { CorruptObjectError } from '../../../shared/errors.ts';
import type { Neighbours } from '../../../shared/lora/neighbours.ts';
import { decodeNeighbours, encodeNeighbours } from '../../../shared/population/neighbours-object.ts';

const LISTS: Neighbours = {
  keys: BigUint64Array.of(1n, 5n, 2n ** 63n),
  ends: Uint32Array.of(2, 2, 3),
  neighbours: Uint32Array.of(1, 2, 0),
  weights: Float16Array.of(0.5, -0.25, 2),
};

describe('the neighbours object', () => {
  test('is read back as written', () => {
    expect(decodeNeighbours(encodeNeighbours(LISTS), 'k')).toEqual(LISTS);
  });

  test.each<[string, Partial<Neighbours>, RegExp]>([
    ['keys that do not rise', { keys: BigUint64Array.of(5n, 1n, 7n) }, /not in rising order/],
    ['ends that fall', { ends: Uint32Array.of(2, 1, 3) }, /not in rising order/],
    ['a neighbour that is no item', { neighbours: Uint32Array.of(1, 3, 0) }, /outside of the 3 items/],
    ['a weight that is not finite', { weights: Float16Array.of(0, Number.NaN, 1) }, /not finite/],
    ['fewer weights than neighbours', { weights: Float16Array.of(0) }, /weights: found Float16Array \[1\]/],
  ])('refuses %s', (_, change, message) => {
    const bytes = encodeNeighbours({ ...LISTS, ...change });
    expect(() => decodeNeighbours(bytes, 'k')).toThrow(CorruptObjectError);
    expect(() => decodeNeighbours(bytes, 'k')).toThrow(message);
  });
});
