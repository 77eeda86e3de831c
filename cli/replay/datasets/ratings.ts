import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CsvError, parse } from 'csv-parse/sync';
import { InvalidInputError, NotFoundError, shown } from '../../../shared/errors.ts';
import { utf8 } from '../../../shared/utf8.ts';
import { checkedId } from '../../../shared/validation/id.ts';

const LF = 0x0a;

/** One star rating. */
export interface Rating {
  readonly userId: string;
  readonly itemId: string;
  /** Stars, 0.5 to 5. */
  readonly rating: number;
  /** Epoch seconds, as in the file. */
  readonly timestamp: number;
}

/** A word or phrase that a user attached to an item. */
export interface Tag {
  readonly userId: string;
  readonly itemId: string;
  readonly tag: string;
  /** Epoch seconds, as in the file. */
  readonly timestamp: number;
}

export interface Movie {
  /** With the year in parentheses at the end, if known. */
  readonly title: string;
  /** Empty when none are listed. */
  readonly genres: readonly string[];
}

export interface RatingsData {
  readonly ratings: readonly Rating[];
  readonly movies: ReadonlyMap<string, Movie>;
  readonly tags: readonly Tag[];
}

/**
 * Reads a data set in MovieLens format (ml-latest): ratings.csv, movies.csv and optionally
 * tags.csv.
 * @throws NotFoundError when the folder, ratings.csv or movies.csv is missing
 * @throws InvalidInputError naming file and line when a line is malformed
 */
export function loadRatings(folder: string): RatingsData {
  const movies = new Map<string, Movie>();
  readCsv(folder, 'movies.csv', ['movieId', 'title', 'genres'], ([itemId, title, genres], place) => {
    const id = checkedId(itemId, `${place}, movieId`);
    if (movies.has(id)) throw new InvalidInputError(`${place}, movieId`, shown(id), 'one line per movie');
    const listed = genres === '(no genres listed)' ? [] : genres.split('|').filter((genre) => genre !== '');
    movies.set(id, { title, genres: listed });
  });

  const ratings: Rating[] = [];
  readCsv(folder, 'ratings.csv', ['userId', 'movieId', 'rating', 'timestamp'], (fields, place) => {
    const [userId, itemId, rating, timestamp] = fields;
    ratings.push({
      userId: checkedId(userId, `${place}, userId`),
      itemId: checkedId(itemId, `${place}, movieId`),
      rating: numberWithin(rating, 0.5, 5, 'a number from 0.5 to 5', `${place}, rating`),
      timestamp: epochSeconds(timestamp, `${place}, timestamp`),
    });
  });
  if (ratings.length === 0) {
    throw new InvalidInputError(
      join(folder, 'ratings.csv'),
      'no ratings',
      'at least one line below the header',
    );
  }

  const tags: Tag[] = [];
  const tagColumns = ['userId', 'movieId', 'tag', 'timestamp'] as const;
  readCsv(folder, 'tags.csv', tagColumns, ([userId, itemId, tag, timestamp], place) => {
    tags.push({
      userId: checkedId(userId, `${place}, userId`),
      itemId: checkedId(itemId, `${place}, movieId`),
      tag,
      timestamp: epochSeconds(timestamp, `${place}, timestamp`),
    });
  });
  return { ratings, movies, tags };
}

type Fields<Columns extends readonly string[]> = { [Index in keyof Columns]: string };

/**
 * Calls `onRecord` for every record below the header, with the place (`<path> line <n>`) for error
 * messages.
 */
function readCsv<const Columns extends readonly string[]>(
  folder: string,
  file: string,
  columns: Columns,
  onRecord: (fields: Fields<Columns>, place: string) => void,
): void {
  const path = join(folder, file);
  const content = readContent(folder, file);
  if (content === undefined) return;
  const header = columns.join(',');
  let records = 0;
  try {
    // The parser counts CRLF within quotes as two line ends.
    parse(content.replace(/\r\n?/g, '\n'), {
      bom: true,
      skip_empty_lines: true,
      relax_column_count: true,
      record_delimiter: '\n',
      on_record: (fields: string[], { lines }) => {
        const place = `${path} line ${lines}`;
        if (records++ === 0) {
          if (fields.join(',') !== header) {
            throw new InvalidInputError(place, shown(fields.join(',')), `the header ${header}`);
          }
        } else if (fields.length !== columns.length) {
          const expected = `${columns.length} (${header})`;
          throw new InvalidInputError(
            place,
            `${fields.length} fields (${shown(fields.join(','))})`,
            expected,
          );
        } else {
          onRecord(fields as Fields<Columns>, place);
        }
        return null;
      },
    });
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    throw new InvalidInputError(`${path} line ${cause.lines}`, cause.message, 'a line of CSV (RFC 4180)', {
      cause,
    });
  }
  if (records === 0) throw new InvalidInputError(path, 'an empty file', `the header ${header}`);
}

/** The text of a file; undefined when an optional file is missing. */
function readContent(folder: string, file: string): string | undefined {
  try {
    const bytes = readFileSync(join(folder, file));
    return textOf(bytes, join(folder, file));
  } catch (cause) {
    const missing =
      cause instanceof Error && 'code' in cause && (cause.code === 'ENOENT' || cause.code === 'ENOTDIR');
    if (missing && file === 'tags.csv') return undefined;
    const expected = 'expected a folder with ratings.csv, movies.csv and perhaps tags.csv';
    if (missing) throw new NotFoundError(`no file ${join(folder, file)}: ${expected}`, { cause });
    if (cause instanceof InvalidInputError) throw cause;
    throw new InvalidInputError(join(folder, file), String(cause), 'a file that can be read', { cause });
  }
}

/** @throws InvalidInputError naming the line of the first bytes that are not UTF-8 */
function textOf(bytes: Buffer, path: string): string {
  const text = utf8(bytes);
  if (text !== undefined) return text;
  let line = 1;
  let start = 0;
  for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, start)) {
    if (utf8(bytes.subarray(start, end)) === undefined) break;
    line++;
    start = end + 1;
  }
  throw new InvalidInputError(`${path} line ${line}`, 'bytes that are not UTF-8', 'UTF-8');
}

function epochSeconds(text: string, place: string): number {
  const seconds = numberWithin(text, 0, 1e11, 'epoch seconds', place);
  if (!Number.isInteger(seconds))
    throw new InvalidInputError(place, shown(text), 'epoch seconds, an integer');
  return seconds;
}

function numberWithin(
  text: string,
  minimum: number,
  maximum: number,
  expected: string,
  place: string,
): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= minimum && value <= maximum)) throw new InvalidInputError(place, shown(text), expected);
  return value;
}
