import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { generate, hugeCases } from './generate.ts';
import { randomOf, TARGETS } from './targets.ts';

const CORPUS = fileURLToPath(new URL('corpus/', import.meta.url));
describe.for(Object.entries(TARGETS))('%s', ([name, { seeds, run }]) => {
  test('accepts valid input, and refuses known bad, huge and random input', async () => {
    for (const bytes of seeds) await run(bytes);
    const folder = join(CORPUS, name.replaceAll(' ', '-'));
    for (const file of existsSync(folder) ? readdirSync(folder) : [])
      await run(readFileSync(join(folder, file)));
    for (const [label, bytes] of Object.entries(hugeCases())) {
      const startedAt = performance.now();
      await run(bytes);
      expect(performance.now() - startedAt, label).toBeLessThan(10_000);
    }
    const random = randomOf(name, 1);
    for (let n = 0; n < 100; n++) await run(generate(random, seeds));
  });
});
