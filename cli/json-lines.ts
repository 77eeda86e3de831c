import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { untilAborted } from '../shared/abort.ts';
import { InvalidInputError, NotFoundError, shown } from '../shared/errors.ts';
import { utf8 } from '../shared/utf8.ts';
import { recordsOf } from './records.ts';

/** Why a line does not hold a JSON object. */
export interface LineFault {
  readonly code: 'not-json' | 'not-utf-8' | 'too-long';
  readonly found: string;
  readonly expected: string;
}

/** A line with a JSON object, or the reason why it has none. Lines are counted from 1. */
export type JsonLine =
  | { readonly line: number; readonly value: object; readonly fault?: undefined }
  | { readonly line: number; readonly fault: LineFault; readonly value?: undefined };

/** Longest record, in bytes. A message of the queue holds at most 256 KiB. */
const MAX_RECORD_BYTES = 4 * 1024 * 1024;
const EXPECTED = 'a JSON object';

/**
 * The JSON objects of a file, one per line (https://jsonlines.org). A line ends at LF or CRLF only,
 * because JSON strings may hold U+2028, U+2029 and, between tokens, CR (RFC 8259). Skips empty
 * lines and a byte order mark.
 * @param file path, or `-` for stdin
 * @param signal stops reading without an error
 * @throws NotFoundError, InvalidInputError when the file cannot be read
 */
export async function* readJsonLines(file: string, signal: AbortSignal): AsyncGenerator<JsonLine> {
  for await (const { line, record } of linesOf(await bytesOf(file, signal), signal)) {
    if (record === 'too-long') {
      yield {
        line,
        fault: { code: 'too-long', found: `more than ${MAX_RECORD_BYTES} bytes`, expected: EXPECTED },
      };
      continue;
    }
    const text = utf8(record);
    if (text === undefined) {
      yield { line, fault: { code: 'not-utf-8', found: 'bytes that are not UTF-8', expected: 'UTF-8' } };
      continue;
    }
    yield { line, ...objectOf(line === 1 ? text.replace(/^\ufeff/, '') : text) };
  }
}

/**
 * The number of lines of a file that are not blank, and the SHA-256 of its bytes, hex.
 * @throws as {@link readJsonLines}
 */
export async function measureLines(
  file: string,
  signal: AbortSignal,
): Promise<{ readonly lines: number; readonly sha256: string }> {
  const hash = createHash('sha256');
  async function* hashed(chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  }
  let lines = 0;
  for await (const _ of linesOf(hashed(await bytesOf(file, signal)), signal)) lines++;
  return { lines, sha256: hash.digest('hex') };
}

/** The non-blank records of an input, with their line numbers. */
async function* linesOf(chunks: AsyncIterable<Uint8Array>, signal: AbortSignal) {
  let line = 0;
  for await (const record of recordsOf(untilAborted(chunks, signal), MAX_RECORD_BYTES)) {
    line++;
    if (record === 'too-long' || !isBlank(record)) yield { line, record };
  }
}

const BLANK: ReadonlySet<number> = new Set([0x20, 0x09, 0x0d]);
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

function isBlank(record: Uint8Array): boolean {
  const marked = BYTE_ORDER_MARK.every((byte, i) => record[i] === byte);
  return record.subarray(marked ? BYTE_ORDER_MARK.length : 0).every((byte) => BLANK.has(byte));
}

async function bytesOf(file: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>> {
  if (file === '-') {
    // An open stdin would keep the process alive.
    signal.addEventListener('abort', () => process.stdin.destroy(), { once: true });
    return process.stdin;
  }
  const handle = await open(file).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'there is no such file' : `cannot be read (${cause.code})`;
    throw new NotFoundError(`${file}: ${reason}`, { cause });
  });
  if ((await handle.stat()).isDirectory()) {
    await handle.close();
    throw new InvalidInputError(file, 'a folder', 'a file of JSON lines');
  }
  return handle.createReadStream();
}

function objectOf(line: string): { value: object } | { fault: LineFault } {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { value };
  } catch {
    // The fault below reports what was found.
  }
  return { fault: { code: 'not-json', found: shown(line), expected: EXPECTED } };
}
