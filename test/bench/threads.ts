import { availableParallelism } from 'node:os';
import { parentPort, Worker } from 'node:worker_threads';

/**
 * Runs jobs in as many threads as there are cores; a free thread takes the next job.
 * @param module runs in each thread and calls {@link doJobs}
 * @param onStart called before every job
 * @returns in the order of the jobs
 */
export async function inThreads<Job, Result>(
  module: URL,
  jobs: readonly Job[],
  onStart: () => void,
): Promise<Result[]> {
  const results = new Array<Result>(jobs.length);
  let next = 0;
  const thread = async () => {
    const worker = new Worker(module);
    try {
      while (next < jobs.length) {
        const index = next++;
        onStart();
        results[index] = await answerOf<Job, Result>(worker, jobs[index]!);
      }
    } finally {
      await worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: Math.min(jobs.length, availableParallelism()) }, thread));
  return results;
}

function answerOf<Job, Result>(worker: Worker, job: Job): Promise<Result> {
  const { promise, resolve, reject } = Promise.withResolvers<Result>();
  const onExit = (code: number) => reject(new Error(`a thread ended with exit code ${code}`));
  worker.once('message', resolve).once('error', reject).once('exit', onExit);
  worker.postMessage(job);
  return promise.finally(() => worker.off('message', resolve).off('error', reject).off('exit', onExit));
}

/** Inside a thread: runs the jobs that {@link inThreads} sends, one after the other. */
export function doJobs<Job, Result>(work: (job: Job) => Promise<Result>): void {
  parentPort?.on('message', async (job: Job) => parentPort?.postMessage(await work(job)));
}
