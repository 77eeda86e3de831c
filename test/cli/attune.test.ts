import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { runAttune } from '../support/run-attune.ts';

const queue = ['--queue-url', 'http://127.0.0.1:1/queue.fifo'];

describe('the command line', () => {
  test('lists its commands', async () => {
    const { code, stdout, stderr } = await runAttune(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: attune/);
    expect(stdout).toContain('publish [options] <file>');
  });

  test('has the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await runAttune(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.concurrent.each([
    [['--nope'], "unknown option '--nope'"],
    [['publsh'], "unknown command 'publsh' (Did you mean publish?)"],
    [['publish'], "missing required argument 'file'"],
    [
      ['publish', 'x', '--embedding-dim', 'two'],
      "option '--embedding-dim <n>' argument 'two' is invalid. expected a whole number.",
    ],
    [['publish', 'x'], 'found neither --queue-url nor --outputs, expected one of them'],
    [['publish', 'x', '--queue-url', 'x'], '--queue-url: found x, expected a URL'],
    [['publish', '/nowhere.jsonl', ...queue], '/nowhere.jsonl: there is no such file'],
    [['publish', '/', ...queue], '/: found a folder, expected a file of JSON lines'],
    [
      ['publish', 'x', '--outputs', '/nowhere'],
      '/nowhere: cannot be read; expected the file of cdk deploy --outputs-file',
    ],
  ])('answers a mistake with one line and exit code 2: %j', async (args, line) => {
    expect(await runAttune(args)).toEqual({ code: 2, stdout: '', stderr: `attune: ${line}\n` });
  });

  test.each(['127.0.0.1', 'localhost'])('says what to start where nothing listens on %s', async (host) => {
    const env = {
      AWS_ENDPOINT_URL: `http://${host}:1`,
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'x',
      AWS_REGION: 'us-east-1',
    };
    const { code, stderr } = await runAttune(['consolidate', '--function-name', 'f'], { env });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^attune: nothing listens at .*:1: start the local stack \(npm start -- --keep\)/);
  });

  test('says which Node it needs under an older one, before it loads anything else', async () => {
    const older =
      'Object.defineProperty(process, "version", { value: "v20.19.2" });' +
      'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.19.2" } });' +
      'delete globalThis.Float16Array;';
    const { code, stdout, stderr } = await runAttune(['--version'], {
      env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(older)}` },
    });
    expect({ code, stdout, stderr }).toEqual({
      code: 2,
      stdout: '',
      stderr: 'attune needs Node 24 or newer, found v20.19.2\n',
    });
  });

  test('ends quietly when nobody reads what it prints', async () => {
    const { code, stderr } = await runAttune(['--help'], { started: (child) => child.stdout.destroy() });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('shows where an error came from when debugging', async () => {
    const { code, stderr } = await runAttune(['publish', '/nowhere.jsonl', ...queue], {
      env: { ATTUNE_DEBUG: '1' },
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/there is no such file\n +at .*json-lines\.ts/);
  });
});
