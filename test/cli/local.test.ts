import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ReplaySummary } from '../../cli/replay/summary.ts';
import { type Ended, runAttune } from '../support/run-attune.ts';

const SMALL = ['local', '--users', '12', '--json'];

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'attune-local-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Node also keeps a cache of compiled code there. */
const assembliesIn = (temporary: string) =>
  readdirSync(temporary).filter((name) => name.startsWith('attune-'));

const summaryOf = ({ stdout }: Ended): ReplaySummary => JSON.parse(stdout.trimEnd().split('\n').at(-1)!);

/** Runs the replay, but kills it with SIGKILL as soon as `rounds` of its rounds are done. */
function killedAfter(dataDir: string, rounds: number): Promise<Ended> {
  return runAttune([...SMALL, '--data', dataDir], {
    started(child) {
      const timer = setInterval(() => {
        let done = -1;
        try {
          done = JSON.parse(readFileSync(join(dataDir, 'replay.json'), 'utf8')).roundsDone;
        } catch {
          // Not there yet.
        }
        if (done >= rounds) child.kill('SIGKILL');
      }, 5);
      child.on('close', () => clearInterval(timer));
    },
  });
}

describe('attune local', () => {
  let undisturbed: ReplaySummary;

  test('replays simulated users, applies every interaction exactly once, and ranks better than without', async () => {
    const ended = await runAttune(SMALL);
    expect(ended.code).toBe(0);
    undisturbed = summaryOf(ended);
    expect(undisturbed).toMatchObject({
      dataset: 'simulator',
      users: 12,
      interactionsPublished: 12 * 48,
      interactionsApplied: 12 * 48,
      eventsPublished: 12 * 10,
      updates: 12 * 10,
      adapters: 12,
      quarantined: 0,
      deadLettered: 0,
      aucBase: 0.5,
    });
    expect(undisturbed.duplicates).toBeGreaterThan(0);
    expect(undisturbed.aucAdapted).toBeGreaterThan(0.55);
    expect(undisturbed.aucShared).toBeGreaterThan(0.5);
    expect(undisturbed.aucGain).toBeCloseTo(undisturbed.aucAdapted! - undisturbed.aucShared!, 12);
    expect(undisturbed.ndcgAdapted).toBeGreaterThan(undisturbed.ndcgBase!);
    expect(undisturbed.coldStartMs).toBeGreaterThan(0);
    const { userId, interactions, liked, before, after } = undisturbed.example!;
    expect({ userId, interactions }).toEqual({ userId: 'user-0001', interactions: 48 });
    for (const titles of [liked, before, after]) {
      expect(titles).toHaveLength(5);
      for (const title of titles) expect(title).toMatch(/^item-\d{4} \(genre [A-H]( and [A-H])?\)$/);
    }
    expect(after).not.toEqual(before);
    expect(after.some((title) => liked.includes(title))).toBe(false);
    expect(undisturbed.eventToEffectMs.p95).toBeGreaterThanOrEqual(undisturbed.eventToEffectMs.p50!);
  });

  test('ends with the same learned state after it was killed in the middle and started again', async () => {
    const dataDir = join(folder, 'killed');
    const killed = await killedAfter(dataDir, 1);
    expect(killed.code).not.toBe(0);
    const ended = await runAttune([...SMALL, '--data', dataDir]);
    expect(ended.code).toBe(0);
    const { learnedState, aucAdapted, interactionsApplied, updates } = summaryOf(ended);
    expect({ learnedState, aucAdapted, interactionsApplied }).toEqual({
      learnedState: undisturbed.learnedState,
      aucAdapted: undisturbed.aucAdapted,
      interactionsApplied: 12 * 48,
    });
    expect(updates).toBeLessThanOrEqual(12 * 10);

    const other = await runAttune(['local', '--users', '13', '--data', dataDir]);
    expect(other.code).toBe(2);
    expect(other.stderr).toMatch(
      /^attune: --data .*: found a replay of other events, expected an empty folder/,
    );
  });

  test('shuts down in order when interrupted', async () => {
    const outputs = join(folder, 'outputs.json');
    const { code, stderr } = await runAttune(['local', '--users', '5', '--keep', '--outputs', outputs], {
      started: (child) =>
        child.stdout.on('data', (text) => String(text).includes('Ctrl-C') && child.kill('SIGINT')),
    });
    // A replay that takes longer says how far it is.
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringMatching(/^(replaying \d+\/\d+ events\n)*$/),
    });
    expect(JSON.parse(readFileSync(outputs, 'utf8')).Attune.BucketName).toMatch(/^attune-/);
  });

  test.each(['SIGTERM', 'SIGHUP'] as const)('leaves nothing behind when ended by %s', async (name) => {
    const temporary = mkdtempSync(join(folder, 'tmp-'));
    const { code, stderr } = await runAttune(['local', '--users', '5'], {
      env: { TMPDIR: temporary },
      started: (child) =>
        child.stdout.on('data', (text) => String(text).includes('Synthesizing') && child.kill(name)),
    });
    expect({ code, stderr, left: assembliesIn(temporary) }).toEqual({ code: 130, stderr: '', left: [] });
  });

  test('answers a port in use with one line and exit code 2', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address() as AddressInfo;
    const ended = await runAttune(['local', '--port', String(port)]);
    server.close();
    // Nothing was synthesized before.
    expect({ code: ended.code, stdout: ended.stdout }).toEqual({ code: 2, stdout: '' });
    expect(ended.stderr).toMatch(new RegExp(`^attune: [^\\n]*port ${port}[^\\n]*\\n$`));
  });

  test('answers a malformed line with its file and number', async () => {
    const dataset = join(folder, 'malformed');
    mkdirSync(dataset);
    writeFileSync(join(dataset, 'movies.csv'), 'movieId,title,genres\n1,Toy Story (1995),Comedy\n');
    writeFileSync(
      join(dataset, 'ratings.csv'),
      'userId,movieId,rating,timestamp\n1,1,4.0,964982703\n1,1,high,964982703\n',
    );
    const { code, stdout, stderr } = await runAttune(['local', '--movielens', dataset]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(
      /^attune: [^\n]*ratings\.csv line 3, rating: found "high", expected a number[^\n]*\n$/,
    );
  });

  test.each([
    [['--nope'], "unknown option '--nope'"],
    [
      ['--users', '0'],
      "option '--users <n>' argument '0' is invalid. expected a whole number from 1 to 100000.",
    ],
    [
      ['--port', '80'],
      "option '--port <n>' argument '80' is invalid. expected a whole number from 1024 to 65532.",
    ],
    [
      ['--movielens', '/nowhere'],
      'no file /nowhere/movies.csv: expected a folder with ratings.csv, movies.csv and perhaps tags.csv',
    ],
  ])('answers a mistake with one line and exit code 2: %j', async (args, line) => {
    expect(await runAttune(['local', ...args])).toEqual({ code: 2, stdout: '', stderr: `attune: ${line}\n` });
  });
});

const data = process.env.ATTUNE_DATA;
describe.skipIf(data === undefined)('attune local on MovieLens (needs ATTUNE_DATA)', () => {
  test('ranks held-out items well above chance', async () => {
    const args = [
      'local',
      '--movielens',
      join(data!, 'ml-latest-small'),
      '--users',
      '40',
      '--events-per-user',
      '12',
    ];
    const ended = await runAttune([...args, '--json']);
    expect(ended.code).toBe(0);
    const summary = summaryOf(ended);
    expect(summary.interactionsApplied).toBe(summary.interactionsPublished);
    expect(summary.aucBase).toBe(0.5);
    expect(summary.aucAdapted).toBeGreaterThan(0.6);
  });
});

test('attune local without the CDK says what to install', async () => {
  const without = `import { registerHooks } from 'node:module';
    registerHooks({ resolve: (name, context, next) => {
      if (name === 'aws-cdk-lib') throw new Error("Cannot find package 'aws-cdk-lib'");
      return next(name, context);
    } });`;
  const NODE_OPTIONS = `--import "data:text/javascript,${encodeURIComponent(without)}"`;
  expect(await runAttune(['local', '--empty'], { env: { NODE_OPTIONS } })).toMatchObject({
    code: 2,
    stderr: expect.stringContaining(
      'attune: found no package aws-cdk-lib, expected npm install --save-dev aws-cdk aws-cdk-lib constructs\n',
    ),
  });
});
