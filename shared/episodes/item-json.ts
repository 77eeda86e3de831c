import type { Item } from './episode-item.ts';

/** An item of the table as one line of JSON; binary values are base64. */
export function itemToJson(item: Item): string {
  return JSON.stringify(item, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value,
  );
}

/** Reads the result of {@link itemToJson}. */
export function itemFromJson(text: string): Item {
  return JSON.parse(text, (name, value: unknown) =>
    name === 'B' && typeof value === 'string' ? new Uint8Array(Buffer.from(value, 'base64')) : value,
  ) as Item;
}
