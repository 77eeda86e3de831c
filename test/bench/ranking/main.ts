import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { exitCodeOf } from '../../../cli/exit.ts';
import { createProgress, printJson, printLine, printProblem } from '../../../cli/output.ts';
import { loadRatings } from '../../../cli/replay/datasets/ratings.ts';
import { embeddingsName, embeddingsOf, embeddingsOption, isKind } from '../embeddings.ts';
import { CONTENDERS, QUICK_ROWS } from './contenders.ts';
import { figuresOf, missedBars, table } from './figures.ts';
import { type Played, play } from './play.ts';
import { splitPicks } from './protocol.ts';

/**
 * `npm run bench:ranking -- --ratings <folder>`: how well the whole catalogue is ranked from
 * clicks. See docs/rewards.md.
 */
interface Options {
  ratings: string;
  embeddings?: string;
  splits: number;
  firstSeed: number;
  users?: number;
  rows?: string[];
  quick?: boolean;
  json?: boolean;
  write: boolean;
}

const DOCS = fileURLToPath(new URL('../../../docs/benchmarks/', import.meta.url));

const program = new Command('bench:ranking')
  .description('rank the whole catalogue from clicks alone, beside popularity, liked embeddings and EASE')
  .requiredOption('--ratings <folder>', 'folder with ratings.csv, movies.csv and perhaps tags.csv')
  .addOption(embeddingsOption('default: hybrid'))
  .option('--splits <n>', 'how often users are split into halves', positive, 3)
  .option('--first-seed <n>', 'seed of the first split; tune on others than those you report', positive, 1)
  .option('--rows <names>', 'only these rows and choice, separated by commas; writes no page', (names) =>
    names.split(','),
  )
  .option('--quick', 'one split, five rows, and exit code 1 when a bar is missed')
  .option('--json', 'print the result as one line of JSON, the last on stdout')
  .option('--no-write', 'leave docs/benchmarks as it is')
  .exitOverride();

try {
  program.parse();
  measure(program.opts<Options>());
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

function measure({
  ratings,
  embeddings = 'hybrid',
  splits,
  firstSeed,
  rows,
  quick = false,
  json,
  write,
}: Options): void {
  const data = loadRatings(ratings);
  const items = embeddingsOf(embeddings, data);
  const kind = embeddingsName(embeddings);
  const name = basename(resolve(ratings));
  const seeds = Array.from({ length: quick ? 1 : splits }, (_, i) => firstSeed + i);
  const wanted = rows === undefined ? undefined : ['choice', ...rows];
  const contenders = CONTENDERS.filter(({ name: row }) =>
    quick ? QUICK_ROWS.includes(row) : (wanted?.includes(row) ?? true),
  );
  const progress = createProgress(`${name}, ${kind}`, 'rows');
  const played = new Map<string, Played[]>();
  let done = 0;
  for (const seed of seeds) {
    const split = splitPicks(data, { seed, embeddings: items });
    for (const contender of contenders) {
      progress.update(done++, seeds.length * contenders.length);
      played.set(contender.name, [...(played.get(contender.name) ?? []), play(contender, split)]);
    }
  }
  progress.stop();
  const figures = figuresOf(played);
  const text = `# Ranking the catalogue from clicks: ${name}, ${kind} embeddings

NDCG@20 over all items that a user has not picked, after 5, 10 and all picks, with 95 % intervals by users;
recall@20 and AUC after all picks. ${figures[0]!.users} users in ${seeds.length} splits (seeds ${seeds.join(', ')}).
Everything is causal: a row knows what happened before the moment it ranks. Rows named prefilled know the
other half of the users as well. The rows choice-ratings and reward meet every rating instead of picks alone:
choice-ratings ranks as recommend does, reward as personalize scores; what was rated is no candidate of theirs,
nor of popularity-unrated. In choice-shown, four popular items are shown in vain with every pick, with reward 0. Control rows meet the same events with the items shuffled. The last column is choice minus the row, after all picks, by users.
Made by \`npm run bench:ranking -- --ratings <folder> --embeddings ${kind}\`.

${table(figures)}
`;
  printLine(text);
  if (write && !quick && rows === undefined && isKind(embeddings)) {
    mkdirSync(DOCS, { recursive: true });
    writeFileSync(`${DOCS}ranking-${name}-${kind}.md`, text);
  }
  const missed = quick ? missedBars(figures) : [];
  for (const bar of missed) printProblem(bar);
  if (missed.length > 0) process.exitCode = 1;
  if (json) printJson({ rows: figures, data: name, embeddings: kind, splits: seeds.length });
}

function positive(value: string): number {
  const number = Number(value);
  if (Number.isInteger(number) && number >= 1) return number;
  throw new InvalidArgumentError('expected a whole number from 1.');
}
