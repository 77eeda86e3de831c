import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadRatings } from '../../../../cli/replay/datasets/ratings.ts';
import { InvalidInputError, NotFoundError } from '../../../../shared/errors.ts';

const MOVIES = 'movieId,title,genres\n1,Heat (1995),Action|Crime\n';
const RATINGS = 'userId,movieId,rating,timestamp\n7,1,4.5,964982703\n';
const TAGS = 'userId,movieId,tag,timestamp\n7,1,heist,964982800\n';

describe('loadRatings', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'ratings-'));
    write({ 'movies.csv': MOVIES, 'ratings.csv': RATINGS, 'tags.csv': TAGS });
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  function write(files: Record<string, string>) {
    for (const [file, content] of Object.entries(files)) writeFileSync(join(folder, file), content);
  }

  it('reads ratings, movies and tags', () => {
    expect(loadRatings(folder)).toEqual({
      ratings: [{ userId: '7', itemId: '1', rating: 4.5, timestamp: 964982703 }],
      movies: new Map([['1', { title: 'Heat (1995)', genres: ['Action', 'Crime'] }]]),
      tags: [{ userId: '7', itemId: '1', tag: 'heist', timestamp: 964982800 }],
    });
  });

  it('reads quoted fields, a byte order mark, CRLF, an empty line and a last line without an end', () => {
    write({
      'movies.csv':
        '\uFEFFmovieId,title,genres\r\n1,"Cry, the ""Beloved"" Country (1995)",Drama\r\n\r\n2,Été (2009),(no genres listed)',
    });
    expect([...loadRatings(folder).movies]).toEqual([
      ['1', { title: 'Cry, the "Beloved" Country (1995)', genres: ['Drama'] }],
      ['2', { title: 'Été (2009)', genres: [] }],
    ]);
  });

  it.each(['\n', '\r\n', '\r'])(
    'names the line of an error after a quoted end of line, where lines end with %j',
    (end) => {
      const lines = ['movieId,title,genres', '1,"Heat', '(1995)",Action', '2,B'];
      write({ 'movies.csv': lines.join(end) });
      expect(() => loadRatings(folder)).toThrow('movies.csv line 4: found 2 fields');
      write({ 'movies.csv': [...lines.slice(0, 3), '2,"B"x,Drama'].join(end) });
      expect(() => loadRatings(folder)).toThrow(/movies\.csv line 4: found Invalid Closing Quote/);
    },
  );

  it('refuses bytes that are not UTF-8, and names file and line', () => {
    const rows = ['userId,movieId,rating,timestamp', '7,1,4.5,964982703', 'J\xe4n,1,4.5,964982703', ''].join(
      '\r\n',
    );
    writeFileSync(join(folder, 'ratings.csv'), Buffer.from(rows, 'latin1'));
    expect(() => loadRatings(folder)).toThrow(
      'ratings.csv line 3: found bytes that are not UTF-8, expected UTF-8',
    );
  });

  it('keeps ids as they are written', () => {
    write({ 'movies.csv': 'movieId,title,genres\n0012,A,Drama\n12,B,Drama\n' });
    expect([...loadRatings(folder).movies.keys()]).toEqual(['0012', '12']);
  });

  it('takes ids of 128 characters, as a feedback event does', () => {
    const id = '\u{1F600}'.repeat(128);
    write({ 'ratings.csv': `userId,movieId,rating,timestamp\n${id},${id},4,1\n` });
    expect(loadRatings(folder).ratings).toEqual([{ userId: id, itemId: id, rating: 4, timestamp: 1 }]);
  });

  it('finds no tags where there is no tags.csv', () => {
    rmSync(join(folder, 'tags.csv'));
    expect(loadRatings(folder).tags).toEqual([]);
  });

  it('names the missing folder or file', () => {
    expect(() => loadRatings(join(folder, 'absent'))).toThrow(NotFoundError);
    expect(() => loadRatings(join(folder, 'absent'))).toThrow(/absent.*expected a folder with ratings\.csv/);
    rmSync(join(folder, 'ratings.csv'));
    expect(() => loadRatings(folder)).toThrow(/no file .*ratings\.csv/);
  });

  it.each([
    [
      'ratings.csv',
      `${RATINGS}7,2,abc,964982703\n`,
      /ratings\.csv line 3, rating: found "abc", expected a number from 0.5 to 5/,
    ],
    ['ratings.csv', `${RATINGS}7,2,5.5,964982703\n`, /ratings\.csv line 3, rating: found "5.5"/],
    ['ratings.csv', `${RATINGS}7,2,0,964982703\n`, /ratings\.csv line 3, rating: found "0"/],
    ['ratings.csv', `${RATINGS}7,2,,964982703\n`, /ratings\.csv line 3, rating: found ""/],
    [
      'ratings.csv',
      `${RATINGS}7,2,4,yesterday\n`,
      /ratings\.csv line 3, timestamp: found "yesterday", expected epoch seconds/,
    ],
    [
      'ratings.csv',
      `${RATINGS}7,2,4,1.5\n`,
      /ratings\.csv line 3, timestamp: found "1.5", expected epoch seconds, an integer/,
    ],
    [
      'ratings.csv',
      `${RATINGS},2,4,964982703\n`,
      /ratings\.csv line 3, userId: found "", expected 1 to 128 characters/,
    ],
    ['ratings.csv', `${RATINGS}7,,4,964982703\n`, /ratings\.csv line 3, movieId: found ""/],
    [
      'ratings.csv',
      `${RATINGS}${'u'.repeat(129)},2,4,964982703\n`,
      /ratings\.csv line 3, userId: found "u+\.\.\., expected 1 to 128 characters without control characters or lone surrogates/,
    ],
    ['ratings.csv', `${RATINGS}7\u0007,2,4,964982703\n`, /ratings\.csv line 3, userId: found "7\\u0007"/],
    ['ratings.csv', `${RATINGS}7,${'m'.repeat(129)},4,964982703\n`, /ratings\.csv line 3, movieId: found "m/],
    ['movies.csv', `${MOVIES}${'m'.repeat(129)},A,Drama\n`, /movies\.csv line 3, movieId: found "m/],
    ['tags.csv', `${TAGS}7,a\tb,x,1\n`, /tags\.csv line 3, movieId: found "a\\tb"/],
    ['ratings.csv', `${RATINGS}7,2,4\n`, /ratings\.csv line 3: found 3 fields \("7,2,4"\), expected 4/],
    ['ratings.csv', `${RATINGS}\r\n7,2,x,1\r\n`, /ratings\.csv line 4, rating/],
    [
      'ratings.csv',
      RATINGS.replace('rating,', 'stars,'),
      /ratings\.csv line 1: found "userId,movieId,stars,timestamp", expected the header userId,movieId,rating,timestamp/,
    ],
    ['ratings.csv', 'userId,movieId,rating,timestamp\n', /ratings\.csv: found no ratings/],
    ['ratings.csv', '', /ratings\.csv: found an empty file/],
    ['movies.csv', `${MOVIES}2,"Open quote\n3,B,Drama\n`, /movies\.csv line \d+: found .*quote/i],
    [
      'movies.csv',
      `${MOVIES}1,Again,Drama\n`,
      /movies\.csv line 3, movieId: found "1", expected one line per movie/,
    ],
    ['tags.csv', `${TAGS}7,1,x\n`, /tags\.csv line 3: found 3 fields/],
    ['tags.csv', `${TAGS}7,1,x,-1\n`, /tags\.csv line 3, timestamp: found "-1"/],
  ])('refuses a malformed %s: %j', (file, content, message) => {
    write({ [file]: content });
    expect(() => loadRatings(folder)).toThrow(InvalidInputError);
    expect(() => loadRatings(folder)).toThrow(message);
  });
});
