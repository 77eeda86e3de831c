import { type Condition, type Filter, testOf } from './filter.ts';
import type { Attributes, AttributeValue } from './item.ts';

/**
 * The attributes of a shard by name, with equal values once, unless most of them differ. A filter
 * tests every value once, and then looks up the result of each row.
 */
export type AttributeColumns = ReadonlyMap<string, Column>;

interface Column {
  /** The rows with the attribute, ascending; null when `codes` has one for every row. */
  readonly rows: Uint32Array | null;
  /** Index into `values`. */
  readonly codes: Uint16Array | Uint32Array;
  /** The first is undefined, for items without the attribute. */
  readonly values: readonly (AttributeValue | undefined)[];
}

/** A column has a code for every row when at least this share of the rows has the attribute. */
const DENSE = 0.25;
/** After so many rows a column decides whether it looks for equal values. */
const DECIDED_AT = 512;

class GrowingColumn {
  readonly #rows: number[] = [];
  readonly #codes: number[] = [];
  readonly #values: (AttributeValue | undefined)[] = [undefined];
  /** Lists by their JSON, apart from the text that may look like it. */
  readonly #known = [new Map<AttributeValue, number>(), new Map<AttributeValue, number>()] as const;
  #looksForEqual = true;

  set(row: number, value: AttributeValue): void {
    this.#rows.push(row);
    this.#codes.push(this.#looksForEqual ? this.#code(value) : this.#values.push(value) - 1);
    // Where most values differ, such as titles, looking for an equal one costs more than it saves.
    if (this.#rows.length === DECIDED_AT) this.#looksForEqual = 2 * this.#values.length < DECIDED_AT;
  }

  finish(rows: number): Column {
    const values = this.#values;
    const type = values.length > 0xffff ? Uint32Array : Uint16Array;
    if (this.#rows.length < DENSE * rows)
      return { rows: Uint32Array.from(this.#rows), codes: type.from(this.#codes), values };
    const codes = new type(rows);
    this.#rows.forEach((row, i) => {
      codes[row] = this.#codes[i]!;
    });
    return { rows: null, codes, values };
  }

  #code(value: AttributeValue): number {
    const isList = typeof value === 'object';
    const known = this.#known[isList ? 1 : 0];
    const key = isList ? JSON.stringify(value) : value;
    let code = known.get(key);
    if (code === undefined) {
      code = this.#values.push(value) - 1;
      known.set(key, code);
    }
    return code;
  }
}

export function columnsOf(items: readonly Attributes[]): AttributeColumns {
  const columns = new Map<string, GrowingColumn>();
  items.forEach((attributes, row) => {
    for (const name of Object.keys(attributes)) {
      let column = columns.get(name);
      if (column === undefined) {
        column = new GrowingColumn();
        columns.set(name, column);
      }
      column.set(row, attributes[name]!);
    }
  });
  return new Map(Array.from(columns, ([name, column]) => [name, column.finish(items.length)]));
}

/** The value of an attribute; undefined when the item has none. */
export function valueAt(columns: AttributeColumns, name: string, row: number): AttributeValue | undefined {
  const column = columns.get(name);
  if (column === undefined) return undefined;
  const { rows, codes, values } = column;
  const at = rows === null ? row : firstFrom(rows, row);
  return rows === null || rows[at] === row ? values[codes[at]!] : undefined;
}

/** Index of the first number that is at least `least`, among ascending ones. */
function firstFrom(ascending: Uint32Array, least: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (ascending[middle]! < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A byte per row, 1 for those that match. */
export function matchingRows(filter: Filter, columns: AttributeColumns, rows: number): Uint8Array {
  switch (filter.kind) {
    case 'all':
    case 'any': {
      const isAll = filter.kind === 'all';
      const result = new Uint8Array(rows).fill(isAll ? 1 : 0);
      for (const part of filter.filters) {
        const found = matchingRows(part, columns, rows);
        if (isAll) for (let row = 0; row < rows; row++) result[row]! &= found[row]!;
        else for (let row = 0; row < rows; row++) result[row]! |= found[row]!;
      }
      return result;
    }
    case 'not': {
      const result = matchingRows(filter.filter, columns, rows);
      for (let row = 0; row < rows; row++) result[row]! ^= 1;
      return result;
    }
    default:
      return rowsOfCondition(filter, columns, rows);
  }
}

function rowsOfCondition(condition: Condition, columns: AttributeColumns, rows: number): Uint8Array {
  const test = testOf(condition);
  const result = new Uint8Array(rows);
  const column = columns.get(condition.attribute);
  if (column === undefined) return result.fill(test(undefined) ? 1 : 0);
  const { codes, values } = column;
  const passes = new Uint8Array(values.length);
  for (let code = 0; code < values.length; code++) passes[code] = test(values[code]) ? 1 : 0;
  if (column.rows === null) for (let row = 0; row < rows; row++) result[row] = passes[codes[row]!]!;
  else {
    result.fill(passes[0]!);
    column.rows.forEach((row, i) => {
      result[row] = passes[codes[i]!]!;
    });
  }
  return result;
}
