/**
 * `npm run bench:consolidation -- [--dim 768] [--users 250] [--interactions 100000] [--json]`: time
 * and cost of a consolidation, and that they do not grow with history. Ends with exit code 1 when a
 * bar is missed.
 */
import { parseArgs } from 'node:util';
import { startDeployment } from './consolidation/deployment.ts';
import type { MeasuredRun } from './consolidation/one-run.ts';
import { priceOf } from './consolidation/price.ts';

const MORE_INTERACTIONS = 1_000;
/** Most interactions of one run, in events of five. */
const MOST_INTERACTIONS = 250_000;
/** What the first run may take. */
const BARS = { seconds: 5, peakMb: 512 } as const;

const options = readOptions();
const { dim, users, interactions } = options;
const say = (line: string) => void process.stdout.write(`${line}\n`);

say(`${interactions} interactions of ${users} users, d = ${dim}`);
const deployment = await startDeployment({ dim, users });
const runs: { name: string; run: MeasuredRun }[] = [];
try {
  await deployment.feedback(interactions);
  runs.push({ name: `${interactions} new interactions`, run: await deployment.consolidate() });
  runs.push({ name: 'nothing new', run: await deployment.consolidate() });
  await deployment.feedback(MORE_INTERACTIONS);
  runs.push({ name: `${MORE_INTERACTIONS} more`, run: await deployment.consolidate() });
} finally {
  await deployment.stop();
}
const [first, idle, more] = runs.map(({ run }) => run) as [MeasuredRun, MeasuredRun, MeasuredRun];

const headings = [
  'seconds',
  'CPU s',
  'peak MB',
  'GETs',
  'others',
  'MB in',
  'MB out',
  'queries',
  'RU',
  'WU',
  '$',
];
say(`\n${''.padEnd(24)}${headings.map((heading) => heading.padStart(9)).join('')}`);
for (const { name, run } of runs) {
  const { s3, dynamodb } = run;
  const numbers = [
    run.seconds.toFixed(2),
    run.cpuSeconds.toFixed(2),
    run.peakMb.toFixed(0),
    s3.gets,
    s3.others,
    (s3.bytesRead / 1e6).toFixed(2),
    (s3.bytesWritten / 1e6).toFixed(2),
    dynamodb.queries,
    dynamodb.read,
    dynamodb.write,
    priceOf(run).toFixed(6),
  ];
  say(`${name.padEnd(24)}${numbers.map((number) => String(number).padStart(9)).join('')}`);
}
const { users: fitted = 0, validationUsers = 0 } = first.report.evidence ?? {};
say(
  `\nfitted to ${fitted} users, compared on ${validationUsers}; ${first.startMb.toFixed(0)} MB before the first run`,
);

const missed = [
  first.seconds > BARS.seconds && `the first run took more than ${BARS.seconds} s`,
  first.peakMb > BARS.peakMb && `the first run took more than ${BARS.peakMb} MB`,
  (idle.report.status !== 'nothing-new' ||
    idle.s3.gets > 2 ||
    idle.s3.bytesWritten > 0 ||
    idle.dynamodb.write > 2) &&
    'a run with nothing new reads adapters or writes skills',
  more.dynamodb.read > first.dynamodb.read / 10 && 'a run with little new reads as much as history',
].filter((reason) => reason !== false);
for (const reason of missed) say(`missed: ${reason}`);
if (options.json) {
  const rows = runs.map(({ name, run }) => ({ name, ...run, dollars: priceOf(run) }));
  say(JSON.stringify({ dim, users, interactions, missed, runs: rows }));
}
process.exitCode = missed.length === 0 ? 0 : 1;

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        dim: { type: 'string', default: '768' },
        users: { type: 'string', default: '250' },
        interactions: { type: 'string', default: '100000' },
        json: { type: 'boolean', default: false },
      },
    });
    return {
      dim: integer('dim', values.dim, 16, 4096),
      users: integer('users', values.users, 20, 10_000),
      interactions: integer('interactions', values.interactions, 1_000, MOST_INTERACTIONS),
      json: values.json,
    };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(2);
  }
}

function integer(name: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= low && value <= high) return value;
  throw new RangeError(`--${name}: found ${text}, expected an integer from ${low} to ${high}`);
}
