import { open } from 'node:fs/promises';
import { untilAborted } from '../shared/abort.ts';
import { InvalidInputError, NotFoundError, shown } from '../shared/errors.ts';
import { recordsOf } from './records.ts';

/** Why a line holds no JSON object. */
export interface LineFault {
  readonly code: 'not-json' | 'not-utf-8' | 'too-long';
  readonly found: string;
  readonly expected: string;
}

/** A line that holds a JSON object, or why it does not. Lines are counted from 1. */
export type JsonLine =
  | { readonly line: number; readonly value: object; readonly fault?: undefined }
  | { readonly line: number; readonly fault: LineFault; readonly value?: undefined };

/** Longest record, in bytes: twice the longest that any command accepts. */
const MAX_RECORD_BYTES = 4 * 1024 * 1024;
const expected = 'a JSON object';

/**
 * The JSON objects of a file, one per line (https://jsonlines.org). A line ends at LF or CRLF and nowhere else: JSON
 * strings may hold U+2028, U+2029 and, between tokens, CR (RFC 8259). Skips empty lines and a byte order mark.
 * @param file path, or `-` for stdin
 * @param signal ends the reading without an error
 * @throws NotFoundError, InvalidInputError when the file cannot be read
 */
export async function* readJsonLines(file: string, signal: AbortSignal): AsyncGenerator<JsonLine> {
  let line = 0;
  for await (const record of recordsOf(untilAborted(await bytesOf(file, signal), signal), MAX_RECORD_BYTES)) {
    line++;
    if (record === 'too-long') {
      yield { line, fault: { code: 'too-long', found: `more than ${MAX_RECORD_BYTES} bytes`, expected } };
      continue;
    }
    const text = textOf(record);
    if (text === undefined) {
      yield { line, fault: { code: 'not-utf-8', found: 'bytes that are not UTF-8', expected: 'UTF-8' } };
      continue;
    }
    const content = line === 1 ? text.replace(/^\ufeff/, '') : text;
    if (content.trim() !== '') yield { line, ...objectOf(content) };
  }
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

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function textOf(record: Uint8Array): string | undefined {
  try {
    return utf8.decode(record);
  } catch {
    return undefined;
  }
}

function objectOf(line: string): { value: object } | { fault: LineFault } {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { value };
  } catch {
    // The fault below says what was found.
  }
  return { fault: { code: 'not-json', found: shown(line), expected } };
}
