import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { exitCodeOf } from '../../../cli/exit.ts';
import { createProgress, printJson, printLine, printProblem } from '../../../cli/output.ts';
import { loadRatings } from '../../../cli/replay/datasets/ratings.ts';
import { embeddingsName, embeddingsOf, embeddingsOption, isKind } from '../embeddings.ts';
import { missedBars } from './bars.ts';
import { type Figures, figuresOf } from './figures.ts';
import { picture } from './picture.ts';
import { playSplits } from './play-splits.ts';
import { rowNames, type SplitResult } from './rows.ts';
import { table } from './table.ts';

/**
 * `npm run bench:learning -- --ratings <folder>…`: the effect of the bank on real ratings. See
 * docs/learning.md.
 */
interface Options {
  ratings: string[];
  embeddings?: string;
  splits: number;
  quick?: boolean;
  json?: boolean;
  write: boolean;
}

const DOCS = fileURLToPath(new URL('../../../docs/benchmarks/', import.meta.url));
const QUICK_USERS = 100;

const program = new Command('bench:learning')
  .requiredOption('--ratings <folder...>', 'folders with ratings.csv, movies.csv and perhaps tags.csv')
  .addOption(embeddingsOption('default: hybrid, and both when quick'))
  .option('--splits <n>', 'how often users are split into halves', splitCount, 3)
  .option(
    '--quick',
    'one split, 100 users, and exit code 1 when the bank is worth too little with hybrid or content embeddings',
  )
  .option('--json', 'print the result as one line of JSON, the last on stdout')
  .option('--no-write', 'leave docs/benchmarks as it is')
  .exitOverride();

try {
  program.parse();
  const options = program.opts<Options>();
  const kinds = options.embeddings === undefined ? defaultKinds(options) : [options.embeddings];
  for (const folder of options.ratings) for (const kind of kinds) await measure(folder, kind, options);
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

/**
 * Hybrid embeddings show the effect of the prior, content embeddings the effect of item effects.
 */
function defaultKinds({ quick }: Options): string[] {
  return quick ? ['hybrid', 'content'] : ['hybrid'];
}

async function measure(
  folder: string,
  embeddings: string,
  { splits, quick = false, json, write }: Options,
): Promise<void> {
  const name = basename(resolve(folder));
  // Reports unreadable folders before any thread starts.
  embeddingsOf(embeddings, loadRatings(folder));
  const seeds = Array.from({ length: quick ? 1 : splits }, (_, i) => i + 1);
  const kind = embeddingsName(embeddings);
  const progress = createProgress(`${name}, ${kind}`, 'rows');
  const total = seeds.length * rowNames(quick).length;
  let begun = 0;
  const results = await playSplits(folder, seeds, {
    embeddings,
    quick,
    ...(quick ? { users: QUICK_USERS } : {}),
    onRow: () => progress.update(begun++, total),
  }).finally(() => progress.stop());

  const figures = figuresOf(results);
  printLine(describe(name, kind, results, figures));
  if (write && !quick && isKind(embeddings)) {
    mkdirSync(DOCS, { recursive: true });
    const file = `${DOCS}learning-${name}-${kind}`;
    writeFileSync(`${file}.md`, page(name, kind, results, figures));
    writeFileSync(`${file}.svg`, picture(`${name}, ${kind} embeddings`, figures.rows));
  }
  const hasBars = quick && isKind(embeddings);
  const missed = hasBars ? missedBars(figures, embeddings) : [];
  for (const bar of missed) printProblem(bar);
  if (hasBars && missed.length === 0)
    printLine('What the bank is worth is within every bar of the quick run.');
  if (missed.length > 0) process.exitCode = 1;
  if (json) {
    printJson({
      rows: figures.rows.map(({ curve: _, ...row }) => row),
      data: name,
      embeddings: kind,
      splits: seeds.length,
      priorVariance: figures.priorVariance,
      harm: figures.harm,
      sha: commit(),
    });
  }
}

function describe(name: string, kind: string, results: readonly SplitResult[], figures: Figures): string {
  const users = results.map((result) => result.users).join(' + ');
  const updates = results.reduce((sum, result) => sum + result.updates, 0).toLocaleString('en-US');
  const harm =
    figures.harm === null
      ? ''
      : `\nWith one user in twenty lying, the p10 of the others changes by ${(figures.harm * 100).toFixed(2)} %.\n`;
  return `
${name}, ${kind} embeddings: ${users} users online in ${results.length === 1 ? 'one split' : `${results.length} splits`}, ${updates} updates.
Changes and gains are against no-bank (τ² = ${figures.priorVariance}, the best in hindsight), those of control against
no-adapter. Intervals are 95 %, by users.

${table(figures)}
${harm}${changesOfBasis(results)}`;
}

function changesOfBasis(results: readonly SplitResult[]): string {
  const names = new Set(results.flatMap(({ carryOverLosses }) => [...carryOverLosses.keys()]));
  const missed = [...names].map((name) => {
    const losses = results.flatMap(({ carryOverLosses }) => carryOverLosses.get(name) ?? []);
    const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    return `${(mean * 100).toFixed(1)} % in ${name}`;
  });
  return missed.length === 0
    ? ''
    : `\nShare of the features' variance that the last change of basis missed: ${missed.join(',\n')}.\n`;
}

function page(name: string, kind: string, results: readonly SplitResult[], figures: Figures): string {
  return `# ${name}, ${kind} embeddings
${describe(name, kind, results, figures)}
![Loss over updates](learning-${name}-${kind}.svg)

Made by
\`npm run bench:learning -- --ratings <folder of ${name}> --embeddings ${kind} --splits ${results.length}\`.
[learning.md](../learning.md) explains the rows.
`;
}

/** Commit of the code that was measured; null outside a clone. */
function commit(): string | null {
  try {
    return execFileSync('git', ['rev-parse', 'HEAD'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return null;
  }
}

function splitCount(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number from 1 to 99.');
}
