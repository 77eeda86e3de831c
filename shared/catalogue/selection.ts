import { type AttributeColumns, columnsOf, matchingRows } from './attribute-columns.ts';
import { itemsKey } from './catalogue-keys.ts';
import { type Catalogue, type LoadedShard, placesOf } from './catalogue-reader.ts';
import type { Filter } from './filter.ts';
import type { Selection } from './selected-rows.ts';
import { attributesOf } from './shard.ts';

export interface SelectionOptions {
  readonly filter?: Filter | undefined;
  /** Keys of items to exclude from the answer. */
  readonly exclude: Iterable<bigint>;
  /** Epoch milliseconds. Items that are not available at this time are excluded. */
  readonly now: number;
}

/** Made on first use. */
const columnsOfShards = new WeakMap<LoadedShard, AttributeColumns>();

/** @throws CorruptObjectError when a shard's attributes cannot be read */
export function columnsIn(shard: LoadedShard): AttributeColumns {
  let columns = columnsOfShards.get(shard);
  if (columns === undefined) {
    columns = columnsOf(attributesOf(shard, itemsKey(shard.name)));
    columnsOfShards.set(shard, columns);
  }
  return columns;
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
  const items = shard.keys.length;
  const rows =
    filter === undefined ? new Uint8Array(items).fill(1) : matchingRows(filter, columnsIn(shard), items);
  if (available !== null) {
    for (let row = 0; row < rows.length; row++)
      if (now < available.from[row]! || now >= available.until[row]!) rows[row] = 0;
  }
  return rows;
}
