import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Harm } from '../support/harm.ts';

/**
 * `npm run attacks`: plays every attack in this folder, and prints the effect of each before and
 * now.
 */
const USAGE = 'npm run attacks -- [--json]';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Earlier effects of attacks whose tests only tell whether they pass, by the start of the file's
 * name.
 */
const FOUND: Readonly<Record<string, string>> = {
  'recovery-shared': 'corrupt skills or basis stopped reads, updates and consolidation',
  'recovery-commands': 'what was damaged could not be shown, exported, rolled back or forgotten',
  'recovery-forget': 'the receipt said nothing was left; dead letters and 65 copies of the id were',
  recovery: 'no documented way back',
  'limits-memory': '4 MB exhausted memory; a cache of 64 MiB held 716 MB',
  'limits-fairness': 'the others waited for all events of the one',
  invoke: 'an error, not an answer',
  clock: 'later episodes stayed behind the watermark for good',
};

interface Assertion {
  readonly fullName: string;
  readonly status: string;
  readonly failureMessages?: readonly string[];
  readonly meta?: { readonly harm?: Harm };
}

interface Results {
  readonly testResults: readonly { readonly name: string; readonly assertionResults: readonly Assertion[] }[];
}

interface Row {
  readonly name: string;
  readonly held: boolean;
  readonly before: string;
  readonly harm: string;
}

let json: boolean;
try {
  json = parseArgs({ options: { json: { type: 'boolean', default: false } } }).values.json;
} catch (error) {
  process.stderr.write(`attacks: ${error instanceof Error ? error.message : error}\n${USAGE}\n`);
  process.exit(2);
}
const folder = await mkdtemp(join(tmpdir(), 'attune-attacks-'));
try {
  const file = join(folder, 'results.json');
  const exitCode = await runTests(file);
  const rows = rowsOf(JSON.parse(await readFile(file, 'utf8')) as Results);
  process.stdout.write(`\n${tableOf(rows)}\n`);
  const held = rows.filter((row) => row.held).length;
  process.stdout.write(`\n${held} of ${rows.length} attacks are held.\n`);
  if (json) {
    const attacks = rows.map(({ name, held, harm }) => ({ name, held, harm }));
    process.stdout.write(`${JSON.stringify({ attacks })}\n`);
  }
  process.exitCode = exitCode !== 0 || rows.length === 0 || held < rows.length ? 1 : 0;
} finally {
  await rm(folder, { recursive: true, force: true });
}

function runTests(file: string): Promise<number> {
  const args = ['vitest', 'run', 'test/attacks', '--reporter=default', '--reporter=json'];
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  spawn('npx', [...args, `--outputFile.json=${file}`], { cwd: ROOT, stdio: ['ignore', 2, 2] })
    .on('error', reject)
    .on('exit', (code) => resolve(code ?? 1));
  return promise;
}

function rowsOf({ testResults }: Results): Row[] {
  return testResults
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(({ name: file, assertionResults }) =>
      assertionResults.map(({ fullName, status, failureMessages, meta }): Row => {
        const held = status === 'passed';
        const failure = failureMessages?.[0]?.split('\n')[0] ?? status;
        return {
          name: fullName.trim(),
          held,
          before: meta?.harm?.before ?? foundIn(file),
          harm: meta?.harm?.now ?? (held ? 'none' : failure),
        };
      }),
    );
}

function foundIn(file: string): string {
  const start = Object.keys(FOUND).find((each) => basename(file).startsWith(each));
  return start === undefined ? '' : FOUND[start]!;
}

function tableOf(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ name, held, before, harm }) =>
      `| ${name} | ${before} | ${held ? '' : '**'}${harm}${held ? '' : '**'} |`,
  );
  return ['| attack | harm before | harm now |', '| --- | --- | --- |', ...lines].join('\n');
}
