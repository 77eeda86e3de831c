import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Breaks the engine in nine ways that the tests of a comparable engine do not notice, one at a time
 * in a copy of the tree, and runs the tests that must notice. Prints one line each; exits with 1
 * when one survives. A part of `npm run mutation`.
 */
interface Mutant {
  readonly name: string;
  readonly file: string;
  readonly code: string;
  readonly replacement: string;
}

const ENGINE = 'shared/engine/engine.ts';
const MUTANTS: readonly Mutant[] = [
  {
    name: 'ascent instead of descent',
    file: 'shared/lora/elastic-weights.ts',
    code: 'values[i]! - step * g',
    replacement: 'values[i]! + step * g',
  },
  {
    name: 'no update at all',
    file: ENGINE,
    code: 'learner.train(state, model, interactions)',
    replacement: 'learner.train(state, model, [])',
  },
  { name: 'hint ignored', file: ENGINE, code: 'configured, hints)', replacement: 'configured, {})' },
  {
    name: 'hint parser returns nothing',
    file: 'shared/reasoning-bank/bank-connection.ts',
    code: 'parseHints(recommendation, configured)',
    replacement: '{}',
  },
  {
    name: 'cache never read',
    file: 'shared/reasoning-bank/query-cache.ts',
    code: 'if (kept !== undefined &&',
    replacement: 'if (false && kept !== undefined &&',
  },
  {
    name: 'cache never written',
    file: 'shared/reasoning-bank/query-cache.ts',
    code: 'if (generation === this.#generation) this.#keep(key, answer);',
    replacement: '',
  },
  {
    name: 'forward pass returns its input',
    file: ENGINE,
    code: 'return forward(loraOf(adapter), embedding);',
    replacement: 'return embedding;',
  },
  {
    name: 'success always true',
    file: 'shared/engine/episode-pattern.ts',
    code: 'const success = succeeded(verdict);',
    replacement: 'const success = true;',
  },
  {
    name: 'similarity filter off',
    file: ENGINE,
    code: '{ ...QUERY, k: topK }',
    replacement: '{ k: topK }',
  },
];

const root = join(import.meta.dirname, '..', '..');
const copy = mkdtempSync(join(tmpdir(), 'attune-mutants-'));
try {
  const files = execFileSync(
    'git',
    ['ls-files', '-z', 'shared', 'test/shared', 'infra/local', 'test/contract', '*.json', '*.config.ts'],
    { cwd: root, encoding: 'utf8' },
  );
  for (const file of files.split('\0').filter((name) => name !== ''))
    cpSync(join(root, file), join(copy, file));
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'));
  if (!passes()) throw new Error('the tests fail before anything is broken');
  const survivors = MUTANTS.filter((mutant) => !isKilled(mutant));
  write(`${MUTANTS.length - survivors.length} of ${MUTANTS.length} killed`);
  process.exitCode = survivors.length === 0 ? 0 : 1;
} finally {
  rmSync(copy, { recursive: true, force: true });
}

function isKilled({ name, file, code, replacement }: Mutant): boolean {
  const path = join(copy, file);
  const original = readFileSync(path, 'utf8');
  if (original.split(code).length !== 2) throw new Error(`${file} does not hold exactly once: ${code}`);
  writeFileSync(
    path,
    original.replace(code, () => replacement),
  );
  const killed = !passes();
  writeFileSync(path, original);
  write(`${killed ? 'killed  ' : 'SURVIVED'} ${name}`);
  return killed;
}

function passes(): boolean {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const tests = ['test/shared/engine', 'test/shared/lora/sgd.test.ts'];
  return spawnSync(process.execPath, [vitest, 'run', '--bail', '1', ...tests], { cwd: copy }).status === 0;
}

function write(line: string): void {
  process.stdout.write(`${line}\n`);
}
