import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundleFunction } from '../../infra/bundle.ts';
import { symbolize } from '../../infra/symbolize.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'attune-bundle-'));
  bundleFunction('personalize', { to: folder, sourceMaps: folder });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Loads the bundle without the settings that it needs; it then throws while it loads. */
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
  const source = readFileSync(new URL('../../shared/config/settings.ts', import.meta.url), 'utf8').split(
    '\n',
  );
  const [, line = ''] = /shared\/config\/settings\.ts:(\d+):\d+/.exec(symbolized) ?? [];
  expect(source[Number(line) - 1]).toContain('throw new InvalidConfigurationError');
  expect(symbolized).not.toContain('/var/task');
});

test('the command symbolizes what it reads from its input', () => {
  const { stack } = failedLoad();
  const trace = join(folder, 'trace.txt');
  writeFileSync(trace, stack.replaceAll(join(folder, 'index.mjs'), '/var/task/index.mjs'));
  const { stdout } = spawnSync(
    process.execPath,
    ['infra/symbolize.ts', join(folder, 'personalize.mjs.map')],
    { encoding: 'utf8', input: readFileSync(trace), cwd: join(import.meta.dirname, '..', '..') },
  );
  expect(stdout).toMatch(/shared\/config\/settings\.ts:\d+:\d+/);
});
