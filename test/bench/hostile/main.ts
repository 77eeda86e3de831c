import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError } from 'commander';
import { exitCodeOf } from '../../../cli/exit.ts';
import { createProgress, printJson, printLine, printProblem } from '../../../cli/output.ts';
import { loadRatings } from '../../../cli/replay/datasets/ratings.ts';
import { embeddingsName, embeddingsOf, embeddingsOption, isKind } from '../embeddings.ts';
import { inThreads } from '../threads.ts';
import { ATTACKS, type Attack } from './attacks.ts';
import { type AttackFigures, figuresOf, missedBars, table } from './figures.ts';
import type { Feedback, PlayedAttack } from './play.ts';
import type { AttackJob } from './worker.ts';

/**
 * `npm run bench:hostile -- --ratings <folder>`: what hostile users cost the others, on real
 * ratings and picks. See docs/learning.md.
 */
interface Options {
  ratings: string;
  embeddings?: string;
  splits: number;
  firstSeed: number;
  users?: number;
  feedback?: Feedback[];
  attacks?: Attack[];
  json?: boolean;
  write: boolean;
}

const DOCS = fileURLToPath(new URL('../../../docs/benchmarks/', import.meta.url));

const program = new Command('bench:hostile')
  .description(
    'what one hostile user in twenty costs the others; exit code 1 when it is more than a hundredth',
  )
  .requiredOption('--ratings <folder>', 'folder with ratings.csv, movies.csv and perhaps tags.csv')
  .addOption(embeddingsOption('default: hybrid'))
  .option('--splits <n>', 'how often users are split into halves', positive, 3)
  .option('--first-seed <n>', 'seed of the first split; tune on others than those you report', positive, 1)
  .option('--users <n>', 'users online at most', positive)
  .option('--feedback <kind...>', 'rewards, picks; default both', oneOf(['rewards', 'picks']))
  .option('--attacks <name...>', `some of ${ATTACKS.join(', ')}; default all`, oneOf(ATTACKS))
  .option('--json', 'print the result as one line of JSON, the last on stdout')
  .option('--no-write', 'leave docs/benchmarks as it is')
  .exitOverride();

try {
  program.parse();
  await measure(program.opts<Options>());
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

async function measure(options: Options): Promise<void> {
  const { ratings: folder, embeddings = 'hybrid', splits, firstSeed, users, json, write } = options;
  const { feedback = ['rewards', 'picks'], attacks = ATTACKS } = options;
  embeddingsOf(embeddings, loadRatings(folder)); // What cannot be read is told before any thread starts.
  const name = basename(resolve(folder));
  const kind = embeddingsName(embeddings);
  const seeds = Array.from({ length: splits }, (_, i) => firstSeed + i);
  const played: readonly Attack[] = ['none', ...attacks.filter((attack) => attack !== 'none')];
  const jobs = seeds.flatMap((seed) =>
    feedback.flatMap((each) =>
      played.map(
        (attack): AttackJob => ({
          folder,
          embeddings,
          seed,
          feedback: each,
          attack,
          ...(users === undefined ? {} : { users }),
        }),
      ),
    ),
  );
  const progress = createProgress(`${name}, ${kind}`, 'attacks');
  let begun = 0;
  const results = await inThreads<AttackJob, PlayedAttack>(
    new URL('./worker.ts', import.meta.url),
    jobs,
    () => progress.update(begun++, jobs.length),
  ).finally(() => progress.stop());

  const resultOf = (seed: number, of: Feedback, under: Attack) =>
    results[jobs.findIndex((job) => job.seed === seed && job.feedback === of && job.attack === under)]!;
  const figures = feedback.flatMap((each) =>
    played.slice(1).map((attack) =>
      figuresOf(
        each,
        attack,
        seeds.map((seed) => ({ peace: resultOf(seed, each, 'none'), war: resultOf(seed, each, attack) })),
      ),
    ),
  );
  const text = page(name, kind, seeds, figures);
  printLine(text);
  const isWhole = users === undefined && options.feedback === undefined && options.attacks === undefined;
  if (write && isWhole && isKind(embeddings)) {
    mkdirSync(DOCS, { recursive: true });
    writeFileSync(`${DOCS}hostile-${name}-${kind}.md`, text);
  }
  const missed = figures.flatMap(missedBars);
  for (const bar of missed) printProblem(bar);
  if (missed.length > 0) process.exitCode = 1;
  if (json) printJson({ attacks: figures, data: name, embeddings: kind, splits: seeds.length });
}

function page(
  name: string,
  kind: string,
  seeds: readonly number[],
  figures: readonly AttackFigures[],
): string {
  return `# What hostile users cost others: ${name}, ${kind} embeddings

One user in twenty is hostile. What changes for the others against the same data with honest users only, with 95 %
intervals by users, over ${seeds.length === 1 ? 'one split' : `${seeds.length} splits`} (${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')}). Rewards are played as in \`bench:learning\`: p10 is the mean
squared error of predicted reward over the first ten updates, AUC and NDCG@10 rank what was held out by rating. Picks are played
as in \`bench:ranking\`: NDCG@20 and AUC rank the whole catalogue after a user's last event. All goes through the deployed
code, with stores in memory. The last column is how many fits in a row turned the prior down. Those who are silent publish nothing:
what they cost is what their feedback is worth.

${table(figures)}

Made by \`npm run bench:hostile -- --ratings <folder of ${name}> --embeddings ${kind}${seeds.length === 3 ? '' : ` --splits ${seeds.length}`}\`; the attacks are explained in
[learning.md](../learning.md).
`;
}

function positive(value: string): number {
  if (/^[1-9]\d{0,5}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('expected a whole number from 1.');
}

/** Collects the values of an option that takes several. */
function oneOf<T extends string>(
  known: readonly T[],
): (value: string, before?: readonly T[]) => readonly T[] {
  return (value, before = []) => {
    if (known.includes(value as T)) return [...before, value as T];
    throw new InvalidArgumentError(`expected one of ${known.join(', ')}.`);
  };
}
