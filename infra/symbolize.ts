import { readFileSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';
import { InvalidInputError } from '../shared/errors.ts';

/** A position in a bundle, as in a stack trace: line and column count from 1. */
const PLACE = /(?:file:\/\/)?\/var\/task\/index\.mjs:(\d+):(\d+)/g;

/**
 * Replaces positions in a function's bundle with those in its sources.
 * @param text a stack trace, or any text around one
 * @param sourceMap JSON of the source map of that bundle
 */
export function symbolize(text: string, sourceMap: string): string {
  const map = new SourceMap(JSON.parse(sourceMap));
  return text.replace(PLACE, (place, line: string, column: string) => {
    const origin = map.findOrigin(Number(line), Number(column));
    if (!('fileName' in origin)) return place;
    return `${origin.fileName.replace(/^(\.\.\/)+/, '')}:${origin.lineNumber}:${origin.columnNumber}`;
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [file] = process.argv.slice(2);
  if (file === undefined) {
    throw new InvalidInputError('source map', 'none', 'the path of <function>.mjs.map as the first argument');
  }
  process.stdout.write(symbolize(readFileSync(0, 'utf8'), readFileSync(file, 'utf8')));
}
