import { InvalidInputError, shown } from '../errors.ts';
import { type AttributeValue, isObject } from './item.ts';

/**
 * A filter of items, as JSON:
 *
 * - `{ "all": [filter, …] }`, `{ "any": [filter, …] }`, `{ "not": filter }`
 * - `{ "attribute": "genre", "in": ["comedy", "drama"] }`: the value, or an entry of the list, is
 * one of these
 * - `{ "attribute": "year", "gte": 1990, "lt": 2000 }`: a number in the range; any of gt, gte, lt,
 * lte
 * - `{ "attribute": "genre", "exists": true }`
 *
 * An item without the attribute matches neither `in` nor a range. There are no patterns, so that
 * the time to match is proportional to the size of the filter.
 */
export type Filter =
  | { readonly kind: 'all' | 'any'; readonly filters: readonly Filter[] }
  | { readonly kind: 'not'; readonly filter: Filter }
  | Condition;

/** A filter of one attribute. */
export type Condition =
  | {
      readonly kind: 'in';
      readonly attribute: string;
      readonly values: ReadonlySet<string | number | boolean>;
    }
  | { readonly kind: 'range'; readonly attribute: string; readonly bounds: Bounds }
  | { readonly kind: 'exists'; readonly attribute: string; readonly exists: boolean };

interface Bounds {
  readonly gt?: number;
  readonly gte?: number;
  readonly lt?: number;
  readonly lte?: number;
}

export const FILTER_LIMITS = { depth: 8, filters: 100, values: 1_000 } as const;

const BOUNDS = ['gt', 'gte', 'lt', 'lte'] as const;
const FORMS = 'an object with all, any, not, or attribute and one of in, exists, or gt, gte, lt, lte';

const reference = { $ref: '#/components/schemas/Filter' };
const attribute = { type: 'string', minLength: 1, description: 'Name of the attribute.' };
const form = (properties: Record<string, object>) => ({
  type: 'object',
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
const filters = { type: 'array', items: reference, minItems: 1, maxItems: FILTER_LIMITS.filters };

/** JSON Schema of a filter: the forms that {@link parseFilter} accepts. */
export const FILTER_FORM = {
  description: `The items to consider. At most ${FILTER_LIMITS.depth} levels, ${FILTER_LIMITS.filters} filters and ${FILTER_LIMITS.values} values.`,
  oneOf: [
    form({ all: filters }),
    form({ any: filters }),
    form({ not: reference }),
    form({
      attribute,
      in: {
        type: 'array',
        items: { type: ['string', 'number', 'boolean'] },
        minItems: 1,
        maxItems: FILTER_LIMITS.values,
      },
    }),
    form({ attribute, exists: { type: 'boolean' } }),
    {
      ...form({ attribute }),
      properties: {
        attribute,
        ...Object.fromEntries(BOUNDS.map((bound) => [bound, { type: 'number' }])),
      },
      minProperties: 2,
    },
  ],
};

/** Where requests refer to {@link FILTER_FORM}. */
export const FILTER_REFERENCE = reference;

/** @throws InvalidInputError naming the first invalid field, or the exceeded limit */
export function parseFilter(value: unknown, field = 'filter'): Filter {
  return parse(value, field, 1, { filters: 0, values: 0 });
}

function parse(
  value: unknown,
  field: string,
  depth: number,
  used: { filters: number; values: number },
): Filter {
  if (depth > FILTER_LIMITS.depth)
    throw new InvalidInputError(field, 'a deeper filter', `at most ${FILTER_LIMITS.depth} levels`);
  if (++used.filters > FILTER_LIMITS.filters)
    throw new InvalidInputError(field, 'more filters', `at most ${FILTER_LIMITS.filters} in all`);
  if (!isObject(value)) throw new InvalidInputError(field, shown(value), FORMS);
  const names = Object.keys(value);
  const [first] = names;
  if (names.length === 1 && first === 'not')
    return { kind: 'not', filter: parse(value.not, `${field}.not`, depth + 1, used) };
  if (names.length === 1 && (first === 'all' || first === 'any')) {
    const parts = value[first];
    if (!Array.isArray(parts) || parts.length === 0 || parts.length > FILTER_LIMITS.filters) {
      const found = Array.isArray(parts) ? `${parts.length} filters` : shown(parts);
      throw new InvalidInputError(`${field}.${first}`, found, `1 to ${FILTER_LIMITS.filters} filters`);
    }
    const filters = parts.map((part, i) => parse(part, `${field}.${first}[${i}]`, depth + 1, used));
    return { kind: first, filters };
  }
  return condition(value, names, field, used);
}

function condition(
  value: Record<string, unknown>,
  names: readonly string[],
  field: string,
  used: { values: number },
): Filter {
  const { attribute } = value;
  const rest = names.filter((name) => name !== 'attribute');
  if (typeof attribute !== 'string' || attribute === '' || rest.length === 0)
    throw new InvalidInputError(field, shown(value), FORMS);
  if (rest.length === 1 && rest[0] === 'exists') {
    if (typeof value.exists !== 'boolean')
      throw new InvalidInputError(`${field}.exists`, shown(value.exists), 'true or false');
    return { kind: 'exists', attribute, exists: value.exists };
  }
  if (rest.length === 1 && rest[0] === 'in') {
    const values: unknown = value.in;
    const valid = Array.isArray(values) && values.length > 0 && values.length <= FILTER_LIMITS.values;
    if (!valid || !values.every(isScalar)) {
      const expected = `1 to ${FILTER_LIMITS.values} strings, finite numbers, true or false`;
      throw new InvalidInputError(`${field}.in`, shown(values), expected);
    }
    used.values += values.length;
    if (used.values > FILTER_LIMITS.values)
      throw new InvalidInputError(`${field}.in`, 'more values', `at most ${FILTER_LIMITS.values} in all`);
    return { kind: 'in', attribute, values: new Set(values) };
  }
  const unknown = rest.find((name) => !(BOUNDS as readonly string[]).includes(name));
  if (unknown !== undefined) throw new InvalidInputError(field, `the unknown field ${shown(unknown)}`, FORMS);
  const wrong = rest.find((name) => !Number.isFinite(value[name]));
  if (wrong !== undefined)
    throw new InvalidInputError(`${field}.${wrong}`, shown(value[wrong]), 'a finite number');
  return { kind: 'range', attribute, bounds: Object.fromEntries(rest.map((name) => [name, value[name]])) };
}

function isScalar(value: unknown): value is string | number | boolean {
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}

/** The test of a value of the attribute; undefined stands for an item without it. */
export function testOf(condition: Condition): (value: AttributeValue | undefined) => boolean {
  switch (condition.kind) {
    case 'exists':
      return (value) => (value !== undefined) === condition.exists;
    case 'in': {
      const { values } = condition;
      return (value) => {
        if (value === undefined) return false;
        return typeof value === 'object' ? value.some((entry) => values.has(entry)) : values.has(value);
      };
    }
    case 'range': {
      const { gt, gte, lt, lte } = condition.bounds;
      const above = gt ?? Number.NEGATIVE_INFINITY;
      const from = gte ?? Number.NEGATIVE_INFINITY;
      const below = lt ?? Number.POSITIVE_INFINITY;
      const to = lte ?? Number.POSITIVE_INFINITY;
      return (value) =>
        typeof value === 'number' && value > above && value >= from && value < below && value <= to;
    }
  }
}
