import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { edited } from '../../cli/cdk-json.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { runAttune } from '../support/run-attune.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const DIM = 384;
const random = createRandom('own data');

let clone: string;
let attune: string;
beforeAll(() => {
  clone = mkdtempSync(join(tmpdir(), 'attune-own-'));
  for (const part of ['cli', 'shared', 'functions', 'infra', 'package.json', 'cdk.json'])
    cpSync(join(ROOT, part), join(clone, part), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(clone, 'node_modules'));
  attune = join(clone, 'cli/attune.ts');
});
afterAll(() => rmSync(clone, { recursive: true }));
vi.setConfig({ testTimeout: 300_000 });

const run = (args: readonly string[], env: Record<string, string> = {}) => runAttune(args, { attune, env });
const cdkJson = () => readFileSync(join(clone, 'cdk.json'), 'utf8');

describe('attune init', () => {
  it('writes settings to cdk.json, changes nothing else there, and explains each', async () => {
    const before = cdkJson();
    const ended = await run(['init', '--embedding-dim', '384', '--embedding-model', 'a "{model}"']);
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(ended.stdout).toContain("embeddingDim = 384 (was 64)\n  length of the application's embeddings");
    expect(ended.stdout).toContain('embeddingModel = a "{model}" (was default)\n  name of the model');
    const written = JSON.parse(cdkJson());
    expect(written.context.attune).toMatchObject({
      embeddingDim: 384,
      embeddingModel: 'a "{model}"',
      rank: 4,
    });
    const lines = before.split('\n');
    const changed = cdkJson()
      .split('\n')
      .filter((line, i) => line !== lines[i]);
    expect(changed).toEqual([
      '      "embeddingDim": 384,',
      String.raw`      "embeddingModel": "a \"{model}\"",`,
    ]);
    await run(['init', '--embedding-dim', '64', '--embedding-model', 'default']);
    expect(cdkJson()).toBe(before);
  });

  it('writes nothing when a value is invalid, and names what is expected', async () => {
    const before = cdkJson();
    expect(await run(['init', '--embedding-dim', '384', '--rank', '100'])).toEqual({
      code: 2,
      stdout: '',
      stderr: 'attune: rank: found "100", expected an integer from 1 to 64\n',
    });
    expect(await run(['init', '--nope', '1'])).toMatchObject({ code: 2 });
    expect(cdkJson()).toBe(before);
  });

  it('shows all settings with their meaning when none is given', async () => {
    const { stdout } = await run(['init']);
    expect(stdout).toContain('embeddingDim = 64 (default)\n  length');
    expect(stdout).toContain('alarmEmail = not set (default)\n  address');
    expect(JSON.parse((await run(['init', '--json'])).stdout)).toMatchObject({ embeddingDim: 64, rank: 4 });
  });

  it('prints nothing but JSON on stdout as the documented npx attune', async () => {
    const env = { ...process.env, npm_config_cache: join(clone, 'npm-cache'), npm_config_offline: 'true' };
    const { stdout } = await promisify(execFile)('npx', ['attune', 'init', '--json'], { cwd: clone, env });
    expect(JSON.parse(stdout)).toMatchObject({ embeddingDim: 64 });
  });

  it('needs no setting with -c on any documented command', () => {
    const pages = readdirSync(join(ROOT, 'docs')).filter((name) => name.endsWith('.md'));
    for (const page of ['README.md', 'CONTRIBUTING.md', ...pages.map((name) => join('docs', name))]) {
      const text = readFileSync(join(ROOT, page), 'utf8');
      expect(text, page).not.toMatch(/-c attune|--context attune|npm run attune/);
    }
  });

  it('writes numbers and booleans as JSON, and removes a setting with an empty value', () => {
    const text = '{"context":{"attune":{"embeddingModel":"}"},"x":[1]}}';
    const with384 = edited(text, { embeddingDim: '384', alarms: 'false' });
    expect(JSON.parse(with384)).toEqual({
      context: { attune: { embeddingModel: '}', embeddingDim: 384, alarms: false }, x: [1] },
    });
    expect(JSON.parse(edited(with384, { alarms: '', embeddingModel: '' })).context.attune).toEqual({
      embeddingDim: 384,
    });
    expect(() => edited('{"context":{}}', { rank: '2' })).toThrow('context.attune: found nothing');
  });
});

interface Stack {
  readonly kept: {
    users: number;
    interactions: number;
    startAnew: number;
    items: number;
    basis: string | null;
  };
  readonly environment: Record<string, string>;
}

/** Starts the local stack, does some work on it, and ends it as Ctrl-C does. */
async function whileUp(args: readonly string[], work: (stack: Stack) => Promise<void>) {
  let worked: Promise<void> | undefined;
  const ended = await runAttune(['local', '--json', ...args], {
    attune,
    started: (child) => {
      let printed = '';
      child.stdout.on('data', (text) => {
        printed += text;
        if (worked !== undefined || !printed.endsWith('\n')) return;
        const { environment, outputs: _, ...kept } = JSON.parse(printed);
        worked = work({ environment, kept }).finally(() => child.kill('SIGINT'));
      });
    },
  });
  await worked;
  return ended;
}

describe('attune local --empty', () => {
  it('accepts the user’s own embeddings with the settings of attune init, and reports its content after a restart', async () => {
    const [items, feedback, candidates, outputs, data] = [
      'items',
      'feedback',
      'candidates',
      'outputs',
      'data',
    ].map((name) => join(clone, name)) as [string, string, string, string, string];
    const embeddings = Array.from({ length: 200 }, () =>
      Array.from({ length: DIM }, (_, i) => (i === 0 ? 2 : random.normal()) / 20),
    );
    const liked = (embedding: readonly number[]) => embedding[1]! + embedding[2]! > 0;
    const write = (file: string, lines: readonly object[]) =>
      writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    write(
      items,
      embeddings.map((embedding) => ({ embedding })),
    );
    write(
      feedback,
      embeddings.slice(0, 120).map((embedding, i) => ({
        userId: 'ada',
        itemId: `item-${i}`,
        embedding,
        reward: liked(embedding) ? 1 : 0,
      })),
    );
    write(
      candidates,
      embeddings.slice(120).map((embedding, i) => ({ itemId: `item-${120 + i}`, embedding })),
    );

    expect(await run(['init', '--embedding-dim', `${DIM}`, '--embedding-model', 'mini'])).toMatchObject({
      code: 0,
    });
    const stack = ['--empty', '--outputs', outputs, '--data', data];
    const ended = await whileUp(stack, async ({ kept, environment }) => {
      expect(kept).toEqual({ users: 0, interactions: 0, startAnew: 0, items: 0, basis: null });
      const on = (...args: string[]) => run([...args, '--outputs', outputs], environment);
      expect(await on('basis', 'build', items)).toMatchObject({ code: 0 });
      expect(await on('publish', feedback)).toMatchObject({ code: 0 });
      await vi.waitFor(
        async () => {
          const { stdout } = await on('inspect', 'ada', '--json');
          expect(JSON.parse(stdout)).toMatchObject({ rewards: 120, embeddingDim: DIM, served: 'adapter' });
        },
        { timeout: 60_000, interval: 500 },
      );
      const { stdout } = await on('personalize', candidates, '--user', 'ada', '--json');
      const answer = JSON.parse(stdout);
      expect(answer.source).toBe('adapter');
      const best = answer.items.slice(0, 20) as { index: number }[];
      const hits = best.filter(({ index }) => liked(embeddings[120 + index]!)).length;
      expect(hits).toBeGreaterThan(13);
    });
    expect(ended.code).toBe(0);
    expect(ended.stderr).toContain('unset AWS_PROFILE');

    // Another setting for one start: the user starts anew, and the stack says so.
    let again: Stack['kept'] | undefined;
    await whileUp([...stack, '--rank', '2'], async ({ kept }) => {
      again = kept;
    });
    expect(again).toMatchObject({ users: 1, interactions: 120, startAnew: 1 });
    await whileUp(stack, async ({ kept }) => {
      again = kept;
    });
    expect(again).toMatchObject({ users: 1, interactions: 120, startAnew: 0, basis: expect.any(String) });
    const replay = await run(['local', '--users', '5', '--data', data]);
    expect(replay.code).toBe(2);
    expect(replay.stderr).toContain('found data of your own, expected --empty or another folder');
  });

  it.each([
    [['--empty', '--users', '5'], "option '--empty' cannot be used with option '--users <n>'"],
    [['--empty', '--embedding-dim', '5'], 'embeddingDim: found "5", expected an integer from 16 to 4096'],
    [['--transfer', 'maybe'], 'transfer: found "maybe", expected "on" or "off"'],
  ])('answers a mistake with one line and exit code 2: %j', async (args, line) => {
    expect(await run(['local', ...args])).toEqual({ code: 2, stdout: '', stderr: `attune: ${line}\n` });
  });
});
