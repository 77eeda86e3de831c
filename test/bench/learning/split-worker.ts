import { parentPort, workerData } from 'node:worker_threads';
import { loadRatings } from '../../../shared/datasets/ratings.ts';
import { playSplit, type SplitOptions } from './rows.ts';

/** One split, in a thread of its own. */
const { folder, ...options } = workerData as { folder: string } & Omit<SplitOptions, 'onRow'>;
const result = await playSplit(loadRatings(folder), {
  ...options,
  onRow: () => parentPort?.postMessage('row'),
});
parentPort?.postMessage(result);
