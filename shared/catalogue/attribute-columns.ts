import { type Condition, type Filter, testOf } from './filter.ts';
import type { Attributes, AttributeValue } from './item.ts';

/**
 * The attributes of a shard by name, with equal values once. A filter tests every value once, and
 * then looks up the result of each row.
 */
export type AttributeColumns = ReadonlyMap<string, Column>;

interface Column {
  /** Index into `values`, by row. */
  readonly codes: Uint16Array | Uint32Array;
  /** The first is undefined, for items without the attribute. */
  readonly values: readonly (AttributeValue | undefined)[];
}

class GrowingColumn {
  readonly codes: Uint32Array;
  readonly values: (AttributeValue | undefined)[] = [undefined];
  readonly #codeOf = new Map<string | number | boolean, number>();
  /** By JSON, apart from the text that may look like it. */
  readonly #codeOfList = new Map<string, number>();

  constructor(rows: number) {
    this.codes = new Uint32Array(rows);
  }

  set(row: number, value: AttributeValue): void {
    // Where most values differ, such as titles, looking for an equal one costs more than it saves.
    const mostDiffer = this.values.length > 256 && 2 * this.values.length > row;
    this.codes[row] = mostDiffer
      ? this.values.push(value) - 1
      : typeof value === 'object'
        ? this.#code(this.#codeOfList, JSON.stringify(value), value)
        : this.#code(this.#codeOf, value, value);
  }

  #code<Key>(codeOf: Map<Key, number>, key: Key, value: AttributeValue): number {
    let code = codeOf.get(key);
    if (code === undefined) {
      code = this.values.push(value) - 1;
      codeOf.set(key, code);
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
        column = new GrowingColumn(items.length);
        columns.set(name, column);
      }
      column.set(row, attributes[name]!);
    }
  });
  return new Map(
    Array.from(columns, ([name, { codes, values }]) => [
      name,
      { codes: values.length > 0xffff ? codes : new Uint16Array(codes), values },
    ]),
  );
}

/** The value of an attribute; undefined when the item has none. */
export function valueAt(columns: AttributeColumns, name: string, row: number): AttributeValue | undefined {
  const column = columns.get(name);
  return column?.values[column.codes[row]!];
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
  for (let row = 0; row < rows; row++) result[row] = passes[codes[row]!]!;
  return result;
}
