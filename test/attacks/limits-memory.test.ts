import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parseCatalogueRequest } from '../../shared/contract/catalogue-request.ts';
import { parsePersonalizeRequest } from '../../shared/contract/personalize-request.ts';
import { parseFeedbackEvent } from '../../shared/feedback/event.ts';

const SETTINGS = { embeddingDim: 16, embeddingModel: 'm' };
const MIB = 1024 * 1024;

/** The content of a 16 MiB cache after this many adapters. */
async function filledCache(adapters: number, residuals: number) {
  const script = fileURLToPath(new URL('../support/filled-cache.ts', import.meta.url));
  const args = ['--expose-gc', script, String(16 * MIB), String(adapters), String(residuals)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout) as { held: number; kept: number };
}

test.each([
  ['a thousand residuals', 600, 1_000],
  ['a few residuals', 6_000, 5],
  ['no residuals', 6_000, 0],
])(
  'a cache of adapters with %s stays below its limit, and uses most of it',
  async (_, adapters, residuals) => {
    const { held, kept } = await filledCache(adapters, residuals);
    expect(kept).toBeLessThan(adapters);
    expect(held).toBeLessThan(16 * MIB * 1.1);
    expect(held).toBeGreaterThan(16 * MIB * 0.5);
  },
);

/** Elements of a request, and how many of them fit into a body of the maximum size. */
const ELEMENTS = ['{}', '1', '[]', '""'];
const many = (element: string, bytes: number): string =>
  `[${Array(Math.floor(bytes / (element.length + 1)))
    .fill(element)
    .join(',')}]`;

/** Milliseconds of CPU and bytes of heap that a refusal takes. */
function costOf(parse: () => unknown): { ms: number; bytes: number; message: string } {
  const before = process.memoryUsage().heapUsed;
  const { user } = process.cpuUsage();
  let message = '';
  try {
    parse();
  } catch (error) {
    message = (error as Error).message;
  }
  const ms = (process.cpuUsage().user - user) / 1000;
  return { ms, bytes: process.memoryUsage().heapUsed - before, message };
}

test.each(ELEMENTS)(
  'a request with a million of %s is refused by its count, before any item is read',
  (element) => {
    const long: unknown = JSON.parse(many(element, 4 * MIB));
    const n = (long as unknown[]).length;
    expect(n).toBeGreaterThan(1_000_000);
    const refusals = {
      candidates: () => parsePersonalizeRequest({ userId: 'ada', candidates: long }, SETTINGS),
      exclude: () => parseCatalogueRequest({ action: 'recommend', userId: 'ada', exclude: long }, SETTINGS),
      interactedBy: () =>
        parseCatalogueRequest({ action: 'recommend', userId: 'ada', interactedBy: long }, SETTINGS),
      filter: () =>
        parseCatalogueRequest({ action: 'recommend', userId: 'ada', filter: { all: long } }, SETTINGS),
    };
    for (const [field, refuse] of Object.entries(refusals)) {
      const { ms, bytes, message } = costOf(refuse);
      expect(message).toContain(`${n} `);
      expect(message).toContain(field);
      expect(ms).toBeLessThan(50);
      expect(bytes).toBeLessThan(5 * MIB);
    }
  },
);

test.each(ELEMENTS)('an event full of %s is refused by the count of its interactions', (element) => {
  const interactions = many(element, 256 * 1024 - 200);
  const header = '"schemaVersion":1,"eventId":"e","userId":"u","occurredAt":"2026-01-31T12:00:00Z"';
  const { ms, message } = costOf(() =>
    parseFeedbackEvent(`{${header},"interactions":${interactions}}`, SETTINGS),
  );
  expect(message).toMatch(/^interactions: found \d{5,6}( items)?, expected 1 to 100 interactions$/);
  expect(ms).toBeLessThan(100);
});
