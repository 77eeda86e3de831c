import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleFunction, FUNCTION_FOLDERS } from '../../infra/bundle.ts';
import { symbolize } from '../../infra/symbolize.ts';
import { BUNDLE_BUDGET_KB } from '../support/bundle-budget.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'attune-bundle-'));
  bundleFunction('personalize', { to: folder, sourceMaps: folder });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Loads the bundle without the required settings, so that it throws. */
function failedLoad(): { name: string; stack: string } {
  const script = `try { await import('${join(folder, 'index.mjs')}'); } catch (error) {
    process.stdout.write(JSON.stringify({ name: error.constructor.name, stack: error.stack })); }`;
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    env: {},
  });
  return JSON.parse(stdout);
}

test('an error of a bundled function has the name of its class, which Lambda logs as errorType', () => {
  expect(failedLoad().name).toBe('InvalidConfigurationError');
});

test('the source map that is left out of the bundle leads from a stack trace to the sources', () => {
  const { stack } = failedLoad();
  const asOnLambda = stack.replaceAll(join(folder, 'index.mjs'), '/var/task/index.mjs');
  expect(asOnLambda).toMatch(/file:\/\/\/var\/task\/index\.mjs:\d+:\d+/);
  const symbolized = symbolize(asOnLambda, readFileSync(join(folder, 'personalize.mjs.map'), 'utf8'));
  const [, file = '', line = ''] = /\((shared\/\S+\.ts):(\d+):\d+\)/.exec(symbolized) ?? [];
  const source = readFileSync(join(import.meta.dirname, '..', '..', file), 'utf8').split('\n');
  expect(source[Number(line) - 1]).toContain('throw new InvalidConfigurationError');
  expect(symbolized).not.toContain('/var/task');
});

test.each(FUNCTION_FOLDERS)(
  'the bundle of %s keeps to its budget, and has no part that the plugin leaves out',
  (name) => {
    const to = join(folder, name);
    bundleFunction(name, { to, sourceMaps: to });
    const code = readFileSync(join(to, 'index.mjs'), 'utf8');
    expect(Buffer.byteLength(code) / 1024).toBeLessThanOrEqual(BUNDLE_BUDGET_KB[name]);
    expect(code).toContain('GetObjectRequest');
    for (const unused of ['GetObjectAclRequest', 'event stream union', 'draft-2020-12'])
      expect(code).not.toContain(unused);
  },
);

test('the command symbolizes its input', () => {
  const { stack } = failedLoad();
  const trace = join(folder, 'trace.txt');
  writeFileSync(trace, stack.replaceAll(join(folder, 'index.mjs'), '/var/task/index.mjs'));
  const { stdout } = spawnSync(
    process.execPath,
    ['infra/symbolize.ts', join(folder, 'personalize.mjs.map')],
    { encoding: 'utf8', input: readFileSync(trace), cwd: join(import.meta.dirname, '..', '..') },
  );
  expect(stdout).toMatch(/\(shared\/\S+\.ts:\d+:\d+\)/);
});
