import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { InvalidInputError, NotFoundError, shown } from '../shared/errors.ts';

/** A line that holds a JSON object, or why it does not. Lines are counted from 1. */
export type JsonLine =
  | { readonly line: number; readonly value: object; readonly fault?: undefined }
  | { readonly line: number; readonly fault: string; readonly value?: undefined };

/**
 * The JSON objects of a file, one a line; empty lines are skipped.
 * @param file path, or `-` for stdin
 * @param signal ends the reading
 * @throws NotFoundError, InvalidInputError when the file cannot be read
 */
export async function* readJsonLines(file: string, signal: AbortSignal): AsyncGenerator<JsonLine> {
  let number = 0;
  for await (const text of await linesOf(file, signal)) {
    number++;
    const line = number === 1 ? text.replace(/^\ufeff/, '') : text;
    if (line.trim() !== '') yield { line: number, ...objectOf(line) };
  }
}

async function linesOf(file: string, signal: AbortSignal): Promise<AsyncIterable<string>> {
  const crlfDelay = Number.POSITIVE_INFINITY;
  if (file === '-') return createInterface({ input: process.stdin, crlfDelay, signal });
  const handle = await open(file).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'there is no such file' : `cannot be read (${cause.code})`;
    throw new NotFoundError(`${file}: ${reason}`, { cause });
  });
  if ((await handle.stat()).isDirectory()) {
    await handle.close();
    throw new InvalidInputError(file, 'a folder', 'a file of JSON lines');
  }
  return createInterface({ input: handle.createReadStream(), crlfDelay, signal });
}

function objectOf(line: string): { value: object } | { fault: string } {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { value };
  } catch {
    // Said below, with what was found.
  }
  return { fault: `found ${shown(line)}, expected a JSON object` };
}
