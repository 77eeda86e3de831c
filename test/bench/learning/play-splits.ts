import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { SplitOptions, SplitResult } from './rows.ts';

/** Plays splits in as many threads as there are cores; the results stand in the order of the seeds. */
export async function playSplits(
  folder: string,
  seeds: readonly number[],
  options: Omit<SplitOptions, 'seed'>,
): Promise<SplitResult[]> {
  const results = new Array<SplitResult>(seeds.length);
  const { onRow, ...cloneable } = options;
  let next = 0;
  const thread = async () => {
    while (next < seeds.length) {
      const index = next++;
      results[index] = await inWorker({ folder, seed: seeds[index]!, ...cloneable }, onRow);
    }
  };
  await Promise.all(Array.from({ length: Math.min(seeds.length, availableParallelism()) }, thread));
  return results;
}

function inWorker(workerData: object, onRow: () => void): Promise<SplitResult> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('./split-worker.ts', import.meta.url), { workerData });
    worker.on('message', (message: 'row' | SplitResult) => {
      if (message === 'row') onRow();
      else resolve(message);
    });
    worker.once('error', reject);
    worker.once('exit', (code) => reject(new Error(`a split ended with exit code ${code}`)));
  });
}
