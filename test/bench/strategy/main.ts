import { basename, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { exitCodeOf } from '../../../cli/exit.ts';
import { createProgress, printJson, printLine } from '../../../cli/output.ts';
import type { EmbeddingKind } from '../../../cli/replay/datasets/item-embeddings.ts';
import { loadRatings } from '../../../cli/replay/datasets/ratings.ts';
import { inThreads } from '../threads.ts';
import { figuresOf, type Loss } from './figures.ts';
import type { Play, PlayJob, PlayResult } from './play.ts';

/**
 * `npm run bench:strategy -- --ratings <folder>`: the effect of learning the learning rate, for the
 * learner 'sgd', when the configured one is 100 times too small and when it is the best. See
 * docs/learning.md.
 */
interface Options {
  ratings: string;
  embeddings: EmbeddingKind;
  splits: number;
  exploration: number;
  json?: boolean;
}

/**
 * Fixed rates, in steps of √10. The best is chosen among those from 0.01 on, so that a hundredth of
 * it is among them, too.
 */
const GRID = Array.from({ length: 11 }, (_, i) => 10 ** (i / 2 - 4));
const HUNDREDTH = 4;

const program = new Command('bench:strategy')
  .requiredOption('--ratings <folder>', 'folder with ratings.csv, movies.csv and perhaps tags.csv')
  .addOption(
    new Option('--embeddings <kind>', 'of the items').choices(['hybrid', 'content']).default('hybrid'),
  )
  .option('--splits <n>', 'how often users are split into halves', splitCount, 3)
  .option('--exploration <share>', 'share of users who explore', share, 0.2)
  .option('--json', 'print the result as one line of JSON, the last on stdout')
  .exitOverride();

try {
  program.parse();
  await measure(program.opts<Options>());
} catch (error) {
  process.exitCode = exitCodeOf(error);
}

async function measure({ ratings, embeddings, splits, exploration, json }: Options): Promise<void> {
  loadRatings(ratings); // Reports an unreadable folder before any thread starts.
  const seeds = Array.from({ length: splits }, (_, i) => i + 1);
  const progress = createProgress(basename(resolve(ratings)), 'plays');
  const total = splits * (GRID.length + 2);
  let begun = 0;
  /** Per play, the results of all splits. */
  const playAll = async (plays: readonly Play[]): Promise<PlayResult[][]> => {
    const jobs = seeds.flatMap((seed) =>
      plays.map((play): PlayJob => ({ folder: ratings, kind: embeddings, seed, play })),
    );
    const results = await inThreads<PlayJob, PlayResult>(
      new URL('./play-worker.ts', import.meta.url),
      jobs,
      () => progress.update(begun++, total),
    );
    return plays.map((_, i) => results.filter((_, job) => job % plays.length === i));
  };
  try {
    const grid = await playAll(GRID.map((learningRate) => ({ learningRate, exploration: 0 })));
    const rates = GRID.map((rate, i) => ({ rate, p10: pooled(lossesOf(grid[i]!)) }));
    const best = rates.reduce(
      (least, { p10 }, i) => (i >= HUNDREDTH && p10 < rates[least]!.p10 ? i : least),
      HUNDREDTH,
    );
    const learned = await playAll(
      [best - HUNDREDTH, best].map((i) => ({ learningRate: GRID[i]!, exploration })),
    );
    const figures = figuresOf({
      best: lossesOf(grid[best]!),
      small: lossesOf(grid[best - HUNDREDTH]!),
      smallLearned: lossesOf(learned[0]!),
      bestLearned: lossesOf(learned[1]!),
    });
    progress.stop();
    printLine(describe(basename(resolve(ratings)), embeddings, exploration, rates, GRID[best]!, figures));
    if (json) {
      printJson({
        data: basename(resolve(ratings)),
        embeddings,
        splits,
        exploration,
        rates,
        best: GRID[best],
        ...figures,
      });
    }
  } finally {
    progress.stop();
  }
}

function describe(
  name: string,
  kind: string,
  exploration: number,
  rates: readonly { rate: number; p10: number }[],
  best: number,
  { users, p10, recovered, recoveredCI, lost, lostCI }: ReturnType<typeof figuresOf>,
): string {
  const lines = rates.map(({ rate, p10: loss }) => `| ${number(rate)} | ${loss.toFixed(5)} |`);
  return `
${name}, ${kind} embeddings: p10 of the ${users} users who came in the second half; ${percent(exploration)} explore.

| fixed rate | p10 |
| --- | --- |
${lines.join('\n')}

| configured rate | without strategy learning | with |
| --- | --- | --- |
| ${number(best / 100)}, a hundredth of the best | ${p10.small.toFixed(5)} | ${p10.smallLearned.toFixed(5)} |
| ${number(best)}, the best | ${p10.best.toFixed(5)} | ${p10.bestLearned.toFixed(5)} |

Strategy learning recovers ${percent(recovered)} [${recoveredCI.map(percent).join(', ')}] of the loss that the small rate causes.
Started from the best rate, it loses ${percent(lost)} [${lostCI.map(percent).join(', ')}]. Intervals are 95 %, by users.
`;
}

/** The losses of one play, over all splits. */
function lossesOf(splits: readonly PlayResult[]): Loss[] {
  return splits.flatMap((split) => [...split].map(([userId, loss]) => ({ userId, loss })));
}

function pooled(losses: readonly Loss[]): number {
  return losses.reduce((sum, { loss }) => sum + loss, 0) / losses.length;
}

function percent(value: number): string {
  return `${(value * 100).toFixed(1)} %`;
}

function number(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function splitCount(text: string): number {
  if (/^[1-9]\d?$/.test(text)) return Number(text);
  throw new InvalidArgumentError('expected a whole number from 1 to 99.');
}

function share(text: string): number {
  const value = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && value > 0 && value <= 0.5) return value;
  throw new InvalidArgumentError('expected a number above 0, at most 0.5.');
}
