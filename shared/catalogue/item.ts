import { InvalidInputError, shown } from '../errors.ts';
import { decodeEmbedding, type EmbeddingInput } from '../feedback/embedding-codec.ts';
import { vectorNorm } from '../lora/basis.ts';
import { checkedId } from '../validation/id.ts';

/** Attribute values that a filter can test. */
export type AttributeValue = string | number | boolean | readonly string[];
export type Attributes = Readonly<Record<string, AttributeValue>>;

/** One item of an application's catalogue. */
export interface CatalogueItem {
  readonly itemId: string;
  /** Of unit length, float16; all zero when the application gave a zero vector. */
  readonly embedding: Float16Array;
  readonly attributes: Attributes;
  /** Epoch milliseconds; the item is recommended from then on. */
  readonly availableFrom?: number;
  /** Epoch milliseconds; the item is not recommended from then on. */
  readonly availableUntil?: number;
}

export const ITEM_LIMITS = {
  attributes: 32,
  nameCharacters: 64,
  textCharacters: 256,
  listEntries: 32,
} as const;

const FIELDS = new Set(['itemId', 'embedding', 'attributes', 'availableFrom', 'availableUntil']);

/**
 * Reads an item from an application: `{ itemId, embedding, attributes?, availableFrom?,
 * availableUntil? }`.
 * @param field path of the item, for the error
 * @throws InvalidInputError naming the first invalid field
 */
export function parseItem(value: unknown, embeddingDim: number, field: string): CatalogueItem {
  if (!isObject(value))
    throw new InvalidInputError(field, shown(value), 'an object with itemId and embedding');
  const unknown = Object.keys(value).find((name) => !FIELDS.has(name));
  if (unknown !== undefined)
    throw new InvalidInputError(field, `the unknown field ${shown(unknown)}`, [...FIELDS].join(', '));
  const { itemId, embedding, attributes = {} } = value;
  if (typeof embedding !== 'string' && !Array.isArray(embedding) && !(embedding instanceof Float32Array)) {
    throw new InvalidInputError(
      `${field}, embedding`,
      shown(embedding),
      'base64 of little-endian float32, or numbers',
    );
  }
  const availableFrom = instantOf(value.availableFrom, `${field}, availableFrom`);
  const availableUntil = instantOf(value.availableUntil, `${field}, availableUntil`);
  return {
    itemId: checkedId(itemId, `${field}, itemId`),
    embedding: unitHalves(decodeEmbedding(embedding as EmbeddingInput, embeddingDim, `${field}, embedding`)),
    attributes: attributesOf(attributes, `${field}, attributes`),
    ...(availableFrom === undefined ? {} : { availableFrom }),
    ...(availableUntil === undefined ? {} : { availableUntil }),
  };
}

/**
 * The vector scaled to unit length and rounded to float16. Features do not depend on the length.
 */
export function unitHalves(vector: Float32Array): Float16Array {
  const norm = vectorNorm(vector);
  const unit = new Float64Array(vector.length);
  if (norm !== 0) for (let i = 0; i < unit.length; i++) unit[i] = vector[i]! / norm;
  return new Float16Array(unit);
}

function attributesOf(value: unknown, field: string): Attributes {
  if (!isObject(value)) throw new InvalidInputError(field, shown(value), 'an object');
  const names = Object.keys(value);
  if (names.length > ITEM_LIMITS.attributes)
    throw new InvalidInputError(field, `${names.length} attributes`, `at most ${ITEM_LIMITS.attributes}`);
  for (const name of names) {
    if (name === '' || name.length > ITEM_LIMITS.nameCharacters) {
      const expected = `names of 1 to ${ITEM_LIMITS.nameCharacters} characters`;
      throw new InvalidInputError(field, `the name ${shown(name)}`, expected);
    }
    if (!isAttributeValue(value[name])) {
      throw new InvalidInputError(
        `${field}.${name}`,
        shown(value[name]),
        `a string of at most ${ITEM_LIMITS.textCharacters} characters, at most ${ITEM_LIMITS.listEntries} of them, a finite number, true or false`,
      );
    }
  }
  // Not by assignment, because a name such as __proto__ would set the prototype.
  return Object.fromEntries(names.map((name) => [name, value[name] as AttributeValue]));
}

function isAttributeValue(value: unknown): value is AttributeValue {
  if (Array.isArray(value)) return value.length <= ITEM_LIMITS.listEntries && value.every(isText);
  return isText(value) || typeof value === 'boolean' || Number.isFinite(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length <= ITEM_LIMITS.textCharacters;
}

const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/;

function instantOf(value: unknown, field: string): number | undefined {
  if (value === undefined) return undefined;
  const instant = typeof value === 'string' && INSTANT.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isFinite(instant)) return instant;
  throw new InvalidInputError(
    field,
    shown(value),
    'an ISO 8601 date and time with offset, such as 2026-01-31T12:00:00Z',
  );
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}
