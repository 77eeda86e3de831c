import { inThreads } from '../threads.ts';
import type { RowJob } from './row-worker.ts';
import { type RowResult, rowNames, type SplitOptions, type SplitResult } from './rows.ts';

/** Plays every row of every split; the results are in the order of the seeds. */
export async function playSplits(
  folder: string,
  seeds: readonly number[],
  { quick, onRow, ...options }: Omit<SplitOptions, 'seed'> & { quick: boolean; onRow: () => void },
): Promise<SplitResult[]> {
  const rows = rowNames(quick);
  const jobs = seeds.flatMap((seed) => rows.map((row): RowJob => ({ folder, seed, row, ...options })));
  const results = await inThreads<RowJob, RowResult>(
    new URL('./row-worker.ts', import.meta.url),
    jobs,
    onRow,
  );
  return seeds.map((_, i) => {
    const own = results.slice(i * rows.length, (i + 1) * rows.length);
    const { users, updates, hostile } = own[0]!;
    return {
      users,
      updates,
      hostile,
      rows: new Map(rows.map((row, j) => [row, own[j]!.results])),
      carryOverLosses: new Map(
        rows.flatMap((row, j) => {
          const { carryOverLoss } = own[j]!;
          return carryOverLoss === undefined ? [] : [[row, carryOverLoss] as const];
        }),
      ),
    };
  });
}
