import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { exitCodeOf } from '../../cli/exit.ts';
import { printJson, printLine, printProblem } from '../../cli/output.ts';
import { bootstrapInterval, mean } from '../../cli/replay/datasets/ranking-metrics.ts';
import type { ReplaySummary } from '../../cli/replay/summary.ts';

/**
 * `npm run bench:transfer`: the gain of later users from earlier ones. Runs `attune local` twice on
 * the same feedback, with transfer on and off, and compares the losses of the second half of the
 * users.
 */
interface Options {
  readonly movielens?: string;
  readonly users: string;
  readonly seed: string;
  readonly json?: boolean;
}

const ATTUNE = fileURLToPath(new URL('../../cli/attune.ts', import.meta.url));

const program = new Command('bench:transfer')
  .option('--movielens <folder>', 'as for attune local; without it, simulated users')
  .option('--users <n>', 'users to replay', '200')
  .option('--seed <n>', 'chooses the users, and all else that is random', '1')
  .option('--json', 'print the result as one line of JSON')
  .exitOverride();

try {
  program.parse();
  process.exitCode = await compare(program.opts<Options>());
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

/** @returns exit code: 0 when transfer has certainly helped */
async function compare(options: Options): Promise<number> {
  const on = await replay('on', options);
  const off = on === undefined ? undefined : await replay('off', options);
  // `attune local` has printed the error.
  if (on === undefined || off === undefined) return 2;
  const pairs = on.newcomers.losses.flatMap((withTransfer, i) => {
    const without = off.newcomers.losses[i] ?? null;
    return withTransfer === null || without === null ? [] : [{ withTransfer, without }];
  });
  if (pairs.length === 0) {
    printProblem('nobody came last: more users are needed to compare');
    return 2;
  }
  const changes = pairs.map(({ withTransfer, without }) => withTransfer - without);
  const base = mean(pairs.map(({ without }) => without))!;
  const { low, high } = bootstrapInterval(changes, { seed: 'transfer' });
  const result = {
    dataset: on.dataset,
    users: on.users,
    newcomers: changes.length,
    lossWithTransfer: mean(pairs.map(({ withTransfer }) => withTransfer))!,
    lossWithoutTransfer: base,
    delta: mean(changes)! / base,
    deltaCI: [low / base, high / base],
  };
  if (options.json) printJson(result);
  else {
    const percent = (value: number) => `${(value * 100).toFixed(1)} %`;
    printLine(
      `${on.dataset}: squared error of the ${result.newcomers} users who came last, over their first ten events`,
    );
    printLine(`  transfer off  ${result.lossWithoutTransfer.toFixed(5)}`);
    printLine(
      `  transfer on   ${result.lossWithTransfer.toFixed(5)}  ${percent(result.delta)} [${result.deltaCI.map(percent).join(', ')}]`,
    );
  }
  return high < 0 ? 0 : 1;
}

/** Undefined when it failed; its progress and its errors are shown as they come. */
async function replay(
  transfer: 'on' | 'off',
  { users, seed, movielens }: Options,
): Promise<ReplaySummary | undefined> {
  const options = ['--users', users, '--seed', seed, '--transfer', transfer, '--json'];
  const data = movielens === undefined ? [] : ['--movielens', movielens];
  const local = spawn(process.execPath, [ATTUNE, 'local', ...options, ...data], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = new Promise<number | null>((resolve, reject) => {
    local.once('error', reject).once('close', resolve);
  });
  const [printed, code] = await Promise.all([text(local.stdout), exited]);
  return code === 0 ? (JSON.parse(printed.trim().split('\n').at(-1)!) as ReplaySummary) : undefined;
}
