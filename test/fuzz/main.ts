/**
 * Feeds every reader of outside bytes with arbitrary and nearly valid input. Keeps failing input in
 * `corpus/<target>/`, which a test replays. `npm run fuzz -- --cases N [--seed N]`
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { generate, hugeCases } from './generate.ts';
import { randomOf, TARGETS } from './targets.ts';

const CORPUS = fileURLToPath(new URL('corpus/', import.meta.url));
/** Time limit of one case. It is generous, because machines are busy at times. */
const LIMITS = { milliseconds: 5_000, megabytes: 1_500 };

const { values } = parseArgs({
  options: { cases: { type: 'string', default: '20000' }, seed: { type: 'string', default: '1' } },
});
const [cases, seed] = [Number(values.cases), Number(values.seed)];
if (!Number.isSafeInteger(cases) || cases < 1 || !Number.isSafeInteger(seed)) {
  process.stderr.write('usage: npm run fuzz -- [--cases N] [--seed N]\n');
  process.exit(2);
}

const report: Record<string, { cases: number; slowestMs: number }> = {};
let defects = 0;
process.on('unhandledRejection', (reason) => {
  defects += 1;
  process.stderr.write(`unhandled rejection: ${reason}\n`);
});

for (const [name, { share, seeds, run }] of Object.entries(TARGETS)) {
  const random = randomOf(name, seed);
  const count = Math.ceil((cases * share) / 1_000);
  const result = { cases: 0, slowestMs: 0 };
  report[name] = result;
  const feed = async (bytes: Uint8Array, label: string): Promise<void> => {
    const startedAt = performance.now();
    let fault: unknown;
    try {
      await run(bytes);
    } catch (error) {
      fault = error;
    }
    const ms = performance.now() - startedAt;
    result.cases += 1;
    result.slowestMs = Math.max(result.slowestMs, Math.round(ms));
    if (ms > LIMITS.milliseconds) fault ??= new Error(`took ${Math.round(ms)} ms`);
    if (fault === undefined) return;
    defects += 1;
    process.stderr.write(`${name}, ${label}: ${fault instanceof Error ? fault.stack : fault}\n`);
    keep(name, bytes);
  };
  for (const [label, bytes] of Object.entries(hugeCases())) await feed(bytes, label);
  for (let n = 0; n < count; n++) await feed(generate(random, seeds), `case ${n}`);
}
const { prototype } = Object;
if (Object.keys(prototype).length > 0 || 'polluted' in {}) {
  defects += 1;
  process.stderr.write('Object.prototype was changed\n');
}
const megabytes = Math.round(process.resourceUsage().maxRSS / 1024);
if (megabytes > LIMITS.megabytes) {
  defects += 1;
  process.stderr.write(`took ${megabytes} MB\n`);
}
const total = Object.values(report).reduce((sum, target) => sum + target.cases, 0);
process.stdout.write(`${JSON.stringify({ cases: total, defects, megabytes, targets: report })}\n`);
process.exitCode = defects === 0 ? 0 : 1;

/** Generates large cases again by name; stores only small ones in a file. */
function keep(target: string, bytes: Uint8Array): void {
  if (bytes.length > 65_536) return;
  const folder = join(CORPUS, target.replaceAll(' ', '-'));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, createHash('sha256').update(bytes).digest('hex').slice(0, 16)), bytes);
}
