/**
 * `npm run bench:transfer -- [--movielens <folder>] [--users 200] [--seed 1] [--json]`: what users who come later owe to those who came
 * before. Runs `attune local` twice on the same feedback, with transfer on and off, and compares the losses of the second half of the users.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import type { ReplaySummary } from '../../cli/replay/summary.ts';
import { bootstrapInterval, mean } from '../../shared/datasets/ranking-metrics.ts';

const ATTUNE = fileURLToPath(new URL('../../cli/attune.ts', import.meta.url));

const { values } = parseArgs({
  options: {
    movielens: { type: 'string' },
    users: { type: 'string', default: '200' },
    seed: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});

const on = await replay('on');
const off = await replay('off');
const pairs = on.newcomers.losses.flatMap((withTransfer, i) => {
  const without = off.newcomers.losses[i] ?? null;
  return withTransfer === null || without === null ? [] : [{ withTransfer, without }];
});
const changes = pairs.map(({ withTransfer, without }) => withTransfer - without);
const base = mean(pairs.map(({ without }) => without))!;
const interval = bootstrapInterval(changes, { seed: 'transfer' });
const result = {
  dataset: on.dataset,
  users: on.users,
  newcomers: changes.length,
  lossWithTransfer: mean(pairs.map(({ withTransfer }) => withTransfer))!,
  lossWithoutTransfer: base,
  delta: mean(changes)! / base,
  deltaCI: [interval.low / base, interval.high / base],
};
if (values.json) process.stdout.write(`${JSON.stringify(result)}\n`);
else {
  const percent = (value: number) => `${(value * 100).toFixed(1)} %`;
  process.stdout.write(
    `${on.dataset}: squared error of the ${result.newcomers} users who came last, over their first ten events\n` +
      `  transfer off  ${result.lossWithoutTransfer.toFixed(5)}\n` +
      `  transfer on   ${result.lossWithTransfer.toFixed(5)}  ${percent(result.delta)} ` +
      `[${result.deltaCI.map(percent).join(', ')}]\n`,
  );
}
if (!(interval.high < 0)) process.exitCode = 1;

async function replay(transfer: 'on' | 'off'): Promise<ReplaySummary> {
  const options = ['--users', values.users, '--seed', values.seed, '--transfer', transfer, '--json'];
  const data = values.movielens === undefined ? [] : ['--movielens', values.movielens];
  const run = await promisify(execFile)(process.execPath, [ATTUNE, 'local', ...options, ...data], {
    maxBuffer: 1 << 26,
  });
  return JSON.parse(run.stdout.trim().split('\n').at(-1)!) as ReplaySummary;
}
