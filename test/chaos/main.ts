import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { synthesizeChaos } from './assembly.ts';
import { runKills } from './kill.ts';
import { type ChaosReport, runChaos } from './run.ts';
import { SAFEGUARDS, type Safeguard } from './safeguards.ts';

const USAGE = `npm run chaos -- [--events N] [--seed N | A..B] [--without SAFEGUARD] [--kills N] [--json]
  --events   events with an effect per seed; default 400
  --seed     default 1
  --kills    instead of faults: kill the whole stack so often, with durable data
  --without  take a safeguard out first: ${Object.keys(SAFEGUARDS).join(', ')}`;

const WRONG = [
  'lost',
  'repeated',
  'reordered',
  'misplaced',
  'adaptersDiffering',
  'left',
  'episodesWrong',
  'remembered',
  'catalogueTorn',
] as const;

function optionsOf(args: string[]) {
  const { values } = parseArgs({
    args,
    options: {
      events: { type: 'string', default: '400' },
      seed: { type: 'string', default: '1' },
      without: { type: 'string' },
      kills: { type: 'string', default: '0' },
      json: { type: 'boolean', default: false },
    },
  });
  const [first, last = first] = values.seed.split('..').map(Number);
  const events = Number(values.events);
  const kills = Number(values.kills);
  if (![first, last, events, kills].every(Number.isSafeInteger))
    throw new Error('--events, --seed, --kills: expected whole numbers');
  if (values.without !== undefined && !Object.hasOwn(SAFEGUARDS, values.without)) {
    throw new Error(
      `--without: found ${values.without}, expected one of ${Object.keys(SAFEGUARDS).join(', ')}`,
    );
  }
  const seeds = Array.from({ length: last! - first! + 1 }, (_, i) => first! + i);
  return { seeds, events, kills, without: values.without as Safeguard | undefined, json: values.json };
}

function say(report: ChaosReport): void {
  const wrong = WRONG.map((name) => `${name} ${report[name]}`).join(', ');
  const injected = Object.values(report.faults).reduce((sum, count) => sum + count, 0);
  process.stderr.write(
    `seed ${report.seed}: ${report.messages} messages, ${injected} faults, ${report.seconds} s: ${wrong}\n`,
  );
}

let options: ReturnType<typeof optionsOf>;
try {
  options = optionsOf(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`chaos: ${error instanceof Error ? error.message : error}\n${USAGE}\n`);
  process.exit(2);
}
const assemblyDir = await mkdtemp(join(tmpdir(), 'attune-chaos-'));
try {
  await synthesizeChaos(assemblyDir, { without: options.without });
  const reports: ChaosReport[] = [];
  for (const seed of options.seeds) {
    const { events, kills } = options;
    const report = await (kills > 0
      ? runKills({ assemblyDir, seed, events, kills })
      : runChaos({ assemblyDir, seed, events }));
    say(report);
    reports.push(report);
  }
  const add = (name: (typeof WRONG)[number]) => reports.reduce((sum, report) => sum + report[name], 0);
  const totals = Object.fromEntries(WRONG.map((name) => [name, add(name)]));
  const faults: Record<string, number> = {};
  const killedAt: Record<string, number> = {};
  for (const report of reports) {
    for (const [kind, count] of Object.entries(report.faults)) faults[kind] = (faults[kind] ?? 0) + count;
    for (const [at, count] of Object.entries(report.killedAt)) killedAt[at] = (killedAt[at] ?? 0) + count;
  }
  const summary = { seeds: options.seeds, events: options.events, ...totals, faults, killedAt };
  process.stdout.write(`${JSON.stringify(summary, null, options.json ? 0 : 2)}\n`);
  process.exitCode = WRONG.every((name) => totals[name] === 0) ? 0 : 1;
} finally {
  await rm(assemblyDir, { recursive: true, force: true });
}
