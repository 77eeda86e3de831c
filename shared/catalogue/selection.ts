import { itemsKey } from './catalogue-keys.ts';
import { type Catalogue, type LoadedShard, placesOf } from './catalogue-reader.ts';
import { type Filter, matches } from './filter.ts';
import type { Attributes } from './item.ts';
import type { Selection } from './selected-rows.ts';
import { attributesOf } from './shard.ts';

export interface SelectionOptions {
  readonly filter?: Filter | undefined;
  /** Keys of items to exclude from the answer. */
  readonly exclude: Iterable<bigint>;
  /** Epoch milliseconds. Items that are not available at this time are excluded. */
  readonly now: number;
}

/** Attributes, parsed on first use. */
const parsedAttributes = new WeakMap<LoadedShard, Attributes[]>();

/** @throws CorruptObjectError when a shard's attributes cannot be read */
export function attributesIn(shard: LoadedShard): readonly Attributes[] {
  let attributes = parsedAttributes.get(shard);
  if (attributes === undefined) {
    attributes = attributesOf(shard, itemsKey(shard.name));
    parsedAttributes.set(shard, attributes);
  }
  return attributes;
}

/** The items of a catalogue that may be recommended, and their number. */
export function select(
  catalogue: Catalogue,
  { filter, exclude, now }: SelectionOptions,
): { readonly selection: Selection; readonly count: number } {
  const admitted = catalogue.shards.map((shard) => admittedRows(shard, filter, now));
  let count = 0;
  admitted.forEach((rows, i) => {
    if (rows === null) count += catalogue.shards[i]!.keys.length;
    else for (let row = 0; row < rows.length; row++) count += rows[row]!;
  });
  const excluded = new Array<Set<number> | null>(admitted.length).fill(null);
  for (const { shard, row } of placesOf(catalogue, exclude)) {
    if (admitted[shard]?.[row] === 0) continue;
    excluded[shard] ??= new Set();
    const rows = excluded[shard];
    if (rows.has(row)) continue;
    rows.add(row);
    count--;
  }
  return { selection: admitted.map((rows, i) => ({ admitted: rows, excluded: excluded[i]! })), count };
}

function admittedRows(shard: LoadedShard, filter: Filter | undefined, now: number): Uint8Array | null {
  const { available } = shard;
  if (filter === undefined && available === null) return null;
  const rows = new Uint8Array(shard.keys.length).fill(1);
  if (available !== null) {
    for (let row = 0; row < rows.length; row++)
      if (now < available.from[row]! || now >= available.until[row]!) rows[row] = 0;
  }
  if (filter !== undefined) {
    attributesIn(shard).forEach((attributes, row) => {
      if (rows[row] === 1 && !matches(filter, attributes)) rows[row] = 0;
    });
  }
  return rows;
}
