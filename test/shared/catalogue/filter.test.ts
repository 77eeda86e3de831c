import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { columnsOf, matchingRows, valueAt } from '../../../shared/catalogue/attribute-columns.ts';
import { FILTER_LIMITS, type Filter, parseFilter, testOf } from '../../../shared/catalogue/filter.ts';
import type { Attributes } from '../../../shared/catalogue/item.ts';
import { InvalidInputError } from '../../../shared/errors.ts';

const film = { genre: ['comedy', 'drama'], year: 1994, language: 'en', seen: false };
const matchesFilm = (filter: unknown) => matchingRows(parseFilter(filter), columnsOf([film]), 1)[0] === 1;

describe('a filter', () => {
  test.each([
    [{ attribute: 'language', in: ['en', 'fr'] }, true],
    [{ attribute: 'language', in: ['fr'] }, false],
    [{ attribute: 'genre', in: ['drama'] }, true],
    [{ attribute: 'genre', in: ['horror'] }, false],
    [{ attribute: 'seen', in: [false] }, true],
    [{ attribute: 'year', in: [1994] }, true],
    [{ attribute: 'year', in: ['1994'] }, false],
    [{ attribute: 'year', gte: 1994, lte: 1994 }, true],
    [{ attribute: 'year', gt: 1994 }, false],
    [{ attribute: 'year', lt: 1994 }, false],
    [{ attribute: 'language', gte: 0 }, false],
    [{ attribute: 'missing', gte: 0 }, false],
    [{ attribute: 'missing', in: ['x'] }, false],
    [{ not: { attribute: 'missing', in: ['x'] } }, true],
    [{ attribute: 'missing', exists: false }, true],
    [{ attribute: 'genre', exists: true }, true],
    [
      {
        all: [
          { attribute: 'year', gte: 1990 },
          { attribute: 'genre', in: ['comedy'] },
        ],
      },
      true,
    ],
    [
      {
        all: [
          { attribute: 'year', gte: 1990 },
          { attribute: 'genre', in: ['horror'] },
        ],
      },
      false,
    ],
    [
      {
        any: [
          { attribute: 'year', lt: 1990 },
          { attribute: 'genre', in: ['comedy'] },
        ],
      },
      true,
    ],
    [
      {
        any: [
          { attribute: 'year', lt: 1990 },
          { attribute: 'genre', in: ['horror'] },
        ],
      },
      false,
    ],
  ])('%j matches the film: %s', (filter, expected) => {
    expect(matchesFilm(filter)).toBe(expected);
  });

  test('does not see inherited properties', () => {
    for (const attribute of ['constructor', '__proto__', 'toString', 'hasOwnProperty'])
      expect(matchesFilm({ attribute, exists: true })).toBe(false);
  });

  test.each([
    ['text', 'filter: found "text"'],
    [{}, 'filter: found {}'],
    [{ attribute: 'a' }, 'filter: found'],
    [{ attribute: 'a', in: [] }, 'filter.in: found []'],
    [{ attribute: 'a', in: [null] }, 'filter.in: found [null]'],
    [{ attribute: 'a', gte: 'x' }, 'filter.gte: found "x"'],
    [{ attribute: 'a', gte: 1, in: ['b'] }, 'filter: found the unknown field "in"'],
    [{ attribute: 'a', matches: '.*' }, 'filter: found the unknown field "matches"'],
    [{ all: [] }, 'filter.all: found 0 filters'],
    [{ any: [{ attribute: 'a', exists: 1 }] }, 'filter.any[0].exists: found 1'],
    [{ not: { attribute: 'a', exists: true }, all: [] }, 'filter: found'],
  ])('%j is refused with the field that is wrong', (filter, message) => {
    expect(() => parseFilter(filter)).toThrow(InvalidInputError);
    expect(() => parseFilter(filter)).toThrow(message);
  });

  test('is bounded in depth, in filters and in values', () => {
    const leaf = { attribute: 'a', exists: true };
    const deep = Array.from({ length: 100_000 }).reduce<object>((filter) => ({ not: filter }), leaf);
    expect(() => parseFilter(deep)).toThrow(`expected at most ${FILTER_LIMITS.depth} levels`);
    expect(() => parseFilter({ any: Array(10_000).fill(leaf) })).toThrow('10000 filters');
    const wide = { any: Array(11).fill({ any: Array(10).fill(leaf) }) };
    expect(() => parseFilter(wide)).toThrow('at most 100 in all');
    const values = { attribute: 'a', in: Array.from({ length: 501 }, (_, i) => i) };
    expect(() => parseFilter({ any: [values, values] })).toThrow('at most 1000 in all');
  });

  test('any JSON is either a filter that can be evaluated or a typed error', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          expect([0, 1]).toContain(matchingRows(parseFilter(value), columnsOf([film]), 1)[0]);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInputError);
        }
      }),
    );
  });
});

/** Item by item, from the attributes as they were given. */
function matchesItem(filter: Filter, attributes: Attributes): boolean {
  if ('filters' in filter) {
    const found = filter.filters.map((part) => matchesItem(part, attributes));
    return filter.kind === 'all' ? !found.includes(false) : found.includes(true);
  }
  if (filter.kind === 'not') return !matchesItem(filter.filter, attributes);
  const own = Object.hasOwn(attributes, filter.attribute);
  return testOf(filter)(own ? attributes[filter.attribute] : undefined);
}

test('the columns of attributes give every item its own values, and a filter the items that match', () => {
  const name = fc.constantFrom('a', 'b', 'constructor', '__proto__');
  const text = fc.constantFrom('1', '["1"]', '[]', 'true', '');
  const scalar = fc.oneof(text, fc.integer({ min: -1, max: 1 }), fc.boolean());
  const attributes = fc.dictionary(name, fc.oneof(scalar, fc.array(text, { maxLength: 2 })));
  const { filter } = fc.letrec<{ filter: object }>((tie) => ({
    filter: fc.oneof(
      { maxDepth: 3 },
      fc.record({ attribute: name, in: fc.array(scalar, { minLength: 1, maxLength: 3 }) }),
      fc.record({ attribute: name, gte: fc.integer({ min: -1, max: 1 }) }),
      fc.record({ attribute: name, exists: fc.boolean() }),
      fc.record({ not: tie('filter') }),
      fc.record({ all: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
      fc.record({ any: fc.array(tie('filter'), { minLength: 1, maxLength: 3 }) }),
    ),
  }));
  fc.assert(
    fc.property(fc.array(attributes, { maxLength: 20 }), filter, (items, value) => {
      const columns = columnsOf(items);
      items.forEach((item, row) => {
        for (const key of ['a', 'b', 'constructor', '__proto__'])
          expect(valueAt(columns, key, row)).toEqual(Object.hasOwn(item, key) ? item[key] : undefined);
      });
      const parsed = parseFilter(value);
      const expected = items.map((item) => (matchesItem(parsed, item) ? 1 : 0));
      expect([...matchingRows(parsed, columns, items.length)]).toEqual(expected);
    }),
    { numRuns: 500 },
  );
});

test('a shard may have more different values than 16 bits can number', () => {
  const columns = columnsOf(Array.from({ length: 70_000 }, (_, i) => ({ price: i })));
  expect(valueAt(columns, 'price', 69_999)).toBe(69_999);
  const found = matchingRows(parseFilter({ attribute: 'price', gte: 69_990 }), columns, 70_000);
  expect(found.reduce((sum, row) => sum + row, 0)).toBe(10);
});

test('an attribute of few items takes room for these alone, and equal values are kept once', () => {
  const items = Array.from({ length: 2_000 }, (_, i) => ({
    [`own ${i}`]: i,
    year: 1980 + (i % 40),
    ...(i % 10 === 0 ? { award: `a${i % 3}` } : {}),
  }));
  const columns = columnsOf(items);
  const room = [...columns.values()].reduce((sum, { codes }) => sum + codes.length, 0);
  expect(room).toBe(2_000 + 2_000 + 200);
  expect(columns.get('year')!.values).toHaveLength(41);
  const awarded = matchingRows(parseFilter({ attribute: 'award', in: ['a1'] }), columns, 2_000);
  expect([...awarded]).toEqual(items.map((_, i) => (i % 10 === 0 && i % 3 === 1 ? 1 : 0)));
  const without = matchingRows(parseFilter({ attribute: 'award', exists: false }), columns, 2_000);
  expect([...without]).toEqual(items.map((_, i) => (i % 10 === 0 ? 0 : 1)));
  expect([valueAt(columns, 'award', 40), valueAt(columns, 'award', 41)]).toEqual(['a1', undefined]);
});

test('an attribute with hundreds of different values among thousands of items still keeps each once', () => {
  const items = Array.from({ length: 3_000 }, (_, i) => ({ maker: `maker ${(7 * i) % 240}` }));
  expect(columnsOf(items).get('maker')!.values).toHaveLength(241);
});
