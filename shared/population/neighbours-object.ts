import * as z from 'zod';
import { CorruptObjectError } from '../errors.ts';
import type { Neighbours } from '../lora/neighbours.ts';
import { decodeDocument, encodeDocument, TensorReader } from '../storage/tensor-document.ts';

const FORMAT = 'attune-neighbours';
const FORMAT_VERSION = 1;

const content = z.strictObject({});

export function encodeNeighbours({ keys, ends, neighbours, weights }: Neighbours): Uint8Array {
  return encodeDocument(FORMAT, FORMAT_VERSION, {
    tensors: {
      keys: { shape: [keys.length], values: keys },
      ends: { shape: [ends.length], values: ends },
      neighbours: { shape: [neighbours.length], values: neighbours },
      weights: { shape: [weights.length], values: weights },
    },
    content: {} satisfies z.input<typeof content>,
  });
}

/** @throws CorruptObjectError when the bytes are not what {@link encodeNeighbours} wrote */
export function decodeNeighbours(bytes: Uint8Array, key: string): Neighbours {
  const { tensors } = decodeDocument(bytes, key, FORMAT, FORMAT_VERSION, content);
  const reader = new TensorReader(tensors, key);
  const items = reader.rows('keys');
  const keys = reader.read('keys', BigUint64Array, [items]);
  const ends = reader.read('ends', Uint32Array, [items]);
  const links = ends.at(-1) ?? 0;
  const neighbours = reader.read('neighbours', Uint32Array, [links]);
  const weights = reader.read('weights', Float16Array, [links]);
  const rising = (values: Uint32Array | BigUint64Array, strictly: boolean) =>
    values.every((value, i) => i === 0 || value > values[i - 1]! || (!strictly && value === values[i - 1]));
  if (!rising(keys, true) || !rising(ends, false))
    throw new CorruptObjectError(key, 'keys or ends are not in rising order');
  if (!neighbours.every((position) => position < items))
    throw new CorruptObjectError(key, `a neighbour stands outside of the ${items} items`);
  return { keys, ends, neighbours, weights };
}
