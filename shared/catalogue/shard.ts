import { createHash } from 'node:crypto';
import * as z from 'zod';
import { itemKey } from '../episodes/episode.ts';
import { CorruptObjectError } from '../errors.ts';
import { halvesOf } from '../key-halves.ts';
import { decodeDocument, encodeDocument, TensorReader } from '../storage/tensor-document.ts';
import { utf8 } from '../utf8.ts';
import { type Attributes, type CatalogueItem, isObject } from './item.ts';

/**
 * A part of the catalogue, in two objects with one name: ids and attributes, which every scan
 * needs, and embeddings, which only a few items need. Items are ordered by their 64-bit keys, for
 * binary search.
 */
export interface Shard {
  /** SHA-256 of both objects, hex. A shard is immutable. */
  readonly name: string;
  readonly keys: BigUint64Array;
  /** UTF-8 of all ids, with the end of each. */
  readonly idBytes: Uint8Array;
  readonly idEnds: Uint32Array;
  /** JSON of all attributes, parsed when a filter needs them. */
  readonly attributeBytes: Uint8Array;
  /** Epoch milliseconds, −∞ and ∞ when an item has none; null when no item has any. */
  readonly available: { readonly from: Float64Array; readonly until: Float64Array } | null;
}

export interface EncodedShard {
  readonly name: string;
  readonly items: number;
  readonly itemBytes: Uint8Array;
  readonly embeddingBytes: Uint8Array;
}

const ITEMS = 'attune-catalogue-items';
const EMBEDDINGS = 'attune-catalogue-embeddings';
const FORMAT_VERSION = 1;
const content = z.strictObject({ items: z.int().min(1), embeddingDim: z.int().min(1).max(4096) });

/** Deterministic: the same items give the same bytes, in any order. */
export function encodeShard(items: readonly CatalogueItem[], embeddingDim: number): EncodedShard {
  const keyed = items
    .map((item) => ({ ...item, key: itemKey(item.itemId) }))
    .sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  const ids = keyed.map(({ itemId }) => Buffer.from(itemId, 'utf8'));
  const ends = new Uint32Array(ids.length);
  ids.reduce((end, id, i) => {
    ends[i] = end + id.length;
    return end + id.length;
  }, 0);
  const attributes = Buffer.from(JSON.stringify(keyed.map((item) => sorted(item.attributes))), 'utf8');
  const embeddings = new Float16Array(keyed.length * embeddingDim);
  keyed.forEach(({ embedding }, i) => {
    embeddings.set(embedding, i * embeddingDim);
  });
  const limited = keyed.some((item) => item.availableFrom !== undefined || item.availableUntil !== undefined);
  const document = { items: keyed.length, embeddingDim };
  const itemBytes = encodeDocument(ITEMS, FORMAT_VERSION, {
    tensors: {
      ids: {
        shape: [ids.reduce((sum, id) => sum + id.length, 0)],
        values: new Uint8Array(Buffer.concat(ids)),
      },
      id_ends: { shape: [keyed.length], values: ends },
      keys: { shape: [keyed.length], values: BigUint64Array.from(keyed, ({ key }) => key) },
      attributes: { shape: [attributes.length], values: new Uint8Array(attributes) },
      ...(limited
        ? {
            available_from: {
              shape: [keyed.length],
              values: Float64Array.from(keyed, (item) => item.availableFrom ?? -UNLIMITED),
            },
            available_until: {
              shape: [keyed.length],
              values: Float64Array.from(keyed, (item) => item.availableUntil ?? UNLIMITED),
            },
          }
        : {}),
    },
    content: document,
  });
  const embeddingBytes = encodeDocument(EMBEDDINGS, FORMAT_VERSION, {
    tensors: { embeddings: { shape: [keyed.length, embeddingDim], values: embeddings } },
    content: document,
  });
  return { name: nameOf(itemBytes, embeddingBytes), items: keyed.length, itemBytes, embeddingBytes };
}

/** In the file, no time is infinite. No JavaScript date exceeds this one. */
const UNLIMITED = 8.64e15;

/** @throws CorruptObjectError when the bytes are not what {@link encodeShard} wrote */
export function decodeShard(bytes: Uint8Array, name: string, key: string): Shard {
  const { tensors, content: c } = decodeDocument(bytes, key, ITEMS, FORMAT_VERSION, content);
  const reader = new TensorReader(tensors, key);
  const idEnds = reader.read('id_ends', Uint32Array, [c.items]);
  const idBytes = reader.read('ids', Uint8Array, [reader.rows('ids')]);
  const keys = reader.read('keys', BigUint64Array, [c.items]);
  for (let i = 0; i < c.items; i++) {
    const start = i === 0 ? 0 : idEnds[i - 1]!;
    if (idEnds[i]! <= start || idEnds[i]! > idBytes.length)
      throw new CorruptObjectError(key, `id ${i} is cut`);
    if (i > 0 && keys[i]! <= keys[i - 1]!) throw new CorruptObjectError(key, `key ${i} is out of order`);
  }
  return {
    name,
    keys,
    idBytes,
    idEnds,
    attributeBytes: reader.read('attributes', Uint8Array, [reader.rows('attributes')]),
    available: reader.has('available_from')
      ? {
          from: reader.read('available_from', Float64Array, [c.items]),
          until: reader.read('available_until', Float64Array, [c.items]),
        }
      : null,
  };
}

/**
 * The embeddings of a shard, row by row.
 * @throws CorruptObjectError
 */
export function decodeEmbeddings(bytes: Uint8Array, embeddingDim: number, key: string): Float16Array {
  const { tensors, content: c } = decodeDocument(bytes, key, EMBEDDINGS, FORMAT_VERSION, content);
  return new TensorReader(tensors, key).read('embeddings', Float16Array, [c.items, embeddingDim]);
}

/** @throws CorruptObjectError when the two objects of a shard do not match its name */
export function checkName(
  name: string,
  itemBytes: Uint8Array,
  embeddingBytes: Uint8Array,
  key: string,
): void {
  const found = nameOf(itemBytes, embeddingBytes);
  if (found !== name) throw new CorruptObjectError(key, `content of shard ${found}, expected ${name}`);
}

export function itemIdAt({ idBytes, idEnds }: Pick<Shard, 'idBytes' | 'idEnds'>, row: number): string {
  const start = row === 0 ? 0 : idEnds[row - 1]!;
  const { buffer, byteOffset } = idBytes;
  return Buffer.from(buffer, byteOffset + start, idEnds[row]! - start).toString('utf8');
}

/** @throws CorruptObjectError when the attributes are not one JSON object per item */
export function attributesOf(shard: Shard, key: string): Attributes[] {
  let values: unknown;
  try {
    values = JSON.parse(utf8(shard.attributeBytes) ?? '');
  } catch (cause) {
    throw new CorruptObjectError(key, 'attributes: found text that is not JSON, expected JSON', { cause });
  }
  if (!Array.isArray(values) || values.length !== shard.keys.length || !values.every(isObject))
    throw new CorruptObjectError(key, 'attributes: found another value, expected one object per item');
  return values as Attributes[];
}

/** Row of an item; −1 when the shard does not have it. */
export function rowOf({ keys }: Pick<Shard, 'keys'>, key: bigint): number {
  const [low = 0, high = 0] = halvesOf(BigUint64Array.of(key));
  return rowOfHalves(halvesOf(keys), low, high);
}

/** {@link rowOf} among keys in halves. */
export function rowOfHalves(halves: Uint32Array, low: number, high: number): number {
  let first = 0;
  for (let end = halves.length >>> 1; first < end; ) {
    const middle = (first + end) >>> 1;
    if (halves[2 * middle + 1]! < high) first = middle + 1;
    else end = middle;
  }
  for (let at = 2 * first; at < halves.length && halves[at + 1] === high; at += 2)
    if (halves[at] === low) return at >>> 1;
  return -1;
}

/** The items of a shard, in their original form. */
export function itemsOf(shard: Shard, embeddings: Float16Array, key: string): CatalogueItem[] {
  const attributes = attributesOf(shard, key);
  const dim = embeddings.length / shard.keys.length;
  return attributes.map((values, row) => {
    const from = shard.available?.from[row] ?? -UNLIMITED;
    const until = shard.available?.until[row] ?? UNLIMITED;
    return {
      itemId: itemIdAt(shard, row),
      embedding: embeddings.slice(row * dim, (row + 1) * dim),
      attributes: values,
      ...(from === -UNLIMITED ? {} : { availableFrom: from }),
      ...(until === UNLIMITED ? {} : { availableUntil: until }),
    };
  });
}

function nameOf(itemBytes: Uint8Array, embeddingBytes: Uint8Array): string {
  return createHash('sha256').update(itemBytes).update(embeddingBytes).digest('hex');
}

function sorted(attributes: Attributes): Attributes {
  return Object.fromEntries(Object.entries(attributes).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}
