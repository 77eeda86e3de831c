import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleFunction, FUNCTION_FOLDERS } from '../../infra/bundle.ts';
import { environmentOf, settingsFromContext } from '../../shared/config/settings.ts';
import { BUNDLE_BUDGET_KB } from '../support/bundle-budget.ts';

const RUNS = 7;

/** Loads a handler and then asks the Runtime API for the first event, as Lambda's runtime does. */
const BOOTSTRAP = `const { handler } = await import('./index.mjs');
if (typeof handler !== 'function') throw new Error('found no handler');
await fetch('http://' + process.env.AWS_LAMBDA_RUNTIME_API + '/2018-06-01/runtime/invocation/next');`;

/** Milliseconds from the start of a process to its first request for an event. */
async function initMs(folder: string): Promise<number> {
  const environment = environmentOf({ ...settingsFromContext({}), bucket: 'bucket', table: 'table' });
  const startedAt = performance.now();
  let asked: number | undefined;
  const server = createServer((request, response) => {
    if (request.url?.endsWith('/invocation/next')) asked = performance.now() - startedAt;
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const spawnedAt = performance.now();
  const child = spawn(process.execPath, ['bootstrap.mjs'], {
    cwd: folder,
    env: { ...environment, AWS_REGION: 'us-east-1', AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${port}` },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await new Promise((resolve) => child.once('close', resolve));
  server.close();
  if (asked === undefined) throw new Error(`${folder}: the function never asked for an event`);
  return asked - (spawnedAt - startedAt);
}

async function medianInitMs(folder: string): Promise<number> {
  writeFileSync(join(folder, 'bootstrap.mjs'), BOOTSTRAP);
  const values: number[] = [];
  for (let run = 0; run < RUNS; run++) values.push(await initMs(folder));
  return Math.round(values.sort((a, b) => a - b)[(RUNS - 1) / 2]!);
}

const root = mkdtempSync(join(tmpdir(), 'attune-cold-'));
try {
  const empty = mkdtempSync(join(root, 'empty-'));
  writeFileSync(join(empty, 'index.mjs'), 'export const handler = async () => {};');
  const emptyInitMs = await medianInitMs(empty);
  const functions = [];
  for (const name of FUNCTION_FOLDERS) {
    const to = join(root, name);
    bundleFunction(name, { to, sourceMaps: root });
    const bundleKB = Math.round(statSync(join(to, 'index.mjs')).size / 102.4) / 10;
    functions.push({ name, bundleKB, initMs: await medianInitMs(to), emptyInitMs });
    if (bundleKB > BUNDLE_BUDGET_KB[name]) {
      process.stderr.write(`${name}: found ${bundleKB} KB, expected at most ${BUNDLE_BUDGET_KB[name]} KB\n`);
      process.exitCode = 1;
    }
  }
  if (process.argv.includes('--json')) process.stdout.write(`${JSON.stringify({ functions })}\n`);
  else
    for (const f of functions)
      process.stdout.write(
        `${f.name}: ${f.bundleKB} KB, init ${f.initMs} ms (empty handler ${emptyInitMs} ms)\n`,
      );
} finally {
  rmSync(root, { recursive: true, force: true });
}
