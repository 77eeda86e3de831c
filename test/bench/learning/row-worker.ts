import { loadRatings } from '../../../cli/replay/datasets/ratings.ts';
import { doJobs } from '../threads.ts';
import { openSplit, type PlayedSplit, playRow, type RowResult, type SplitOptions } from './rows.ts';

/** One row of one split. */
export interface RowJob extends SplitOptions {
  readonly folder: string;
  readonly row: string;
}

/** Rows of one split follow each other. */
let open: { key: string; split: PlayedSplit } | undefined;

doJobs(async ({ folder, row, ...options }: RowJob): Promise<RowResult> => {
  const key = JSON.stringify({ folder, ...options });
  if (open?.key !== key) open = { key, split: openSplit(loadRatings(folder), options) };
  return playRow(open.split, row);
});
