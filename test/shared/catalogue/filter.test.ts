import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FILTER_LIMITS, matches, parseFilter } from '../../../shared/catalogue/filter.ts';
import { InvalidInputError } from '../../../shared/errors.ts';

const film = { genre: ['comedy', 'drama'], year: 1994, language: 'en', seen: false };
const matchesFilm = (filter: unknown) => matches(parseFilter(filter), film);

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
          expect(typeof matchesFilm(value)).toBe('boolean');
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidInputError);
        }
      }),
    );
  });
});
