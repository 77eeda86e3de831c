import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { COMMANDS } from '../../cli/commands.ts';
import { runAttune } from '../support/run-attune.ts';

/** Feedback that any deployment with 16 numbers accepts. */
const LINE = JSON.stringify({ userId: 'ada', embedding: new Array(16).fill(1), reward: 1 });
const queue = ['--queue-url', 'http://127.0.0.1:1/queue.fifo'];

describe('the command line', () => {
  test('lists its commands', async () => {
    const { code, stdout, stderr } = await runAttune(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: attune/);
    expect(stdout).toMatch(/^ {2}publish +publish interactions/m);
  });

  test('has the version of the package', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'));
    expect(await runAttune(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  });

  test.concurrent.each([
    [['--version'], []],
    [['--help'], []],
    [['publsh'], []],
    [['publish', '--help'], ['publish']],
    [['help', 'publish'], ['publish']],
    [['cost', '--users', '10', '--events-per-day', '10'], ['cost']],
    [['inspect'], ['inspect']],
  ])('loads only the code of the command that runs: %j', async (args, commands) => {
    const hooks =
      'import { registerHooks } from "node:module";' +
      'const loaded = [];' +
      'registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });' +
      'process.once("exit", () => process.stderr.write(JSON.stringify(loaded)));';
    const { stderr } = await runAttune(args, {
      env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hooks)}` },
    });
    const loaded: string[] = JSON.parse(stderr.trim().split('\n').at(-1)!);
    const names = new Set(COMMANDS.map(({ name }) => name));
    const ofCommands = loaded.map((url) => /\/cli\/([a-z]+)\.ts$/.exec(url)?.[1] ?? '');
    expect(ofCommands.filter((name) => names.has(name))).toEqual(commands);
    expect(loaded.filter((url) => url.includes('/@aws-sdk/'))).toEqual([]);
    if (commands.length === 0) expect(loaded.filter((url) => url.includes('/zod/'))).toEqual([]);
  });

  test.concurrent.each([
    [['--nope'], "unknown option '--nope'"],
    [['publsh'], "unknown command 'publsh' (Did you mean publish?)"],
    [['publish'], "missing required argument 'file'"],
    [['export', '--out', 'x'], "unknown option '--out'; required option '--to <folder>' not specified"],
    [['export', 'ada', '--to', 'x', '--jsn'], "unknown option '--jsn' (Did you mean --json?)"],
    [['export', 'ada'], "required option '--to <folder>' not specified"],
    [['dlq', 'list', '--usr', 'ada'], "unknown option '--usr' (Did you mean --user?)"],
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
      '/nowhere: found no readable file, expected the file of cdk deploy --outputs-file',
    ],
  ])('answers a mistake with one line and exit code 2: %j', async (args, line) => {
    expect(await runAttune(args)).toEqual({ code: 2, stdout: '', stderr: `attune: ${line}\n` });
  });

  test.each(['127.0.0.1', 'localhost'])('suggests what to start when nothing listens on %s', async (host) => {
    const env = {
      AWS_ENDPOINT_URL: `http://${host}:1`,
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'x',
      AWS_REGION: 'us-east-1',
    };
    const { code, stderr } = await runAttune(['consolidate', '--function-name', 'f'], { env });
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^attune: nothing listens at .*:1: start the local stack \(npx attune local --keep, or --empty, with the same --data and --port\)/,
    );
    const published = await runAttune(['publish', '-', '--queue-url', `http://${host}:1/q.fifo`], {
      env,
      input: LINE,
    });
    expect(published.code).toBe(1);
    expect(published.stderr).toMatch(/^attune: 1 not sent, line 1: nothing listens at .*:1: start the local/);
  });

  test('names the required Node version under an older one, before it loads anything else', async () => {
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

  test('ends without an error when the reader of its output is gone', async () => {
    const { code, stderr } = await runAttune(['--help'], { started: (child) => child.stdout.destroy() });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  test.skipIf(!existsSync('/dev/full'))('reports a full disk in one line', async () => {
    const full = (redirect: string, ...args: string[]) =>
      new Promise((resolve) => {
        const command = `"$0" "$@" ${redirect}`;
        const words = [
          process.execPath,
          fileURLToPath(new URL('../../cli/attune.ts', import.meta.url)),
          ...args,
        ];
        execFile('sh', ['-c', command, ...words], (error, stdout, stderr) =>
          resolve({ code: error?.code ?? 0, stdout, stderr }),
        );
      });
    const line = 'attune: stdout cannot be written: ENOSPC: no space left on device, write\n';
    for (const args of [['--help'], ['init'], ['init', '--json']])
      expect(await full('>/dev/full', ...args)).toEqual({ code: 1, stdout: '', stderr: line });
    // A fault without a visible message still gives an exit code.
    expect(await full('2>/dev/full', 'publish')).toEqual({ code: 2, stdout: '', stderr: '' });
  });

  test.each([
    [
      'nobody',
      'found no credentials for AWS_PROFILE=nobody, which overrides AWS_ACCESS_KEY_ID: unset AWS_PROFILE',
    ],
    ['', 'found no AWS credentials'],
  ])('explains missing credentials when AWS_PROFILE is %j', async (AWS_PROFILE, line) => {
    const env = {
      AWS_PROFILE,
      AWS_ACCESS_KEY_ID: AWS_PROFILE && 'local',
      AWS_SECRET_ACCESS_KEY: AWS_PROFILE && 'local',
      AWS_REGION: 'us-east-1',
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_ENDPOINT_URL: 'http://127.0.0.1:1',
      HOME: '/nowhere',
    };
    for (const command of [
      ['consolidate', '--function-name', 'f'],
      ['inspect', 'ada', '--bucket', 'b'],
      ['uplift', '--table', 't'],
    ]) {
      const { code, stderr } = await runAttune(command, { env });
      expect(code).toBe(2);
      expect(stderr).toContain(`attune: ${line}`);
    }
    const published = await runAttune(['publish', '-', ...queue], { env, input: LINE });
    expect(published.stderr).toContain(`attune: 1 not sent, line 1: ${line}`);
  });

  test.skipIf(!existsSync('/proc/self/cmdline'))(
    'refuses a user id in the arguments that is not UTF-8, and accepts U+FFFD',
    async () => {
      const inspect = (user: string) =>
        new Promise((resolve) => {
          const attune = fileURLToPath(new URL('../../cli/attune.ts', import.meta.url));
          const command = `"$0" "$1" inspect "$(printf '${user}')" --outputs /nowhere`;
          execFile('sh', ['-c', command, process.execPath, attune], (error, _, stderr) =>
            resolve({ code: error?.code ?? 0, stderr }),
          );
        });
      expect(await inspect(String.raw`J\344n`)).toEqual({
        code: 2,
        stderr: 'attune: arguments: found bytes that are not UTF-8, expected a terminal that writes UTF-8\n',
      });
      for (const valid of ['J\ufffdn', 'Jän'])
        expect(await inspect(valid)).toMatchObject({
          stderr: expect.stringMatching(/^attune: \/nowhere: /),
        });
    },
  );

  test('shows the stack of an error when debugging', async () => {
    const { code, stderr } = await runAttune(['publish', '/nowhere.jsonl', ...queue], {
      env: { ATTUNE_DEBUG: '1' },
    });
    expect(code).toBe(2);
    expect(stderr).toMatch(/there is no such file\n +at .*json-lines\.ts/);
  });
});
