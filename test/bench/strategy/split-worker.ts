import { parentPort, workerData } from 'node:worker_threads';
import { playSplit, type SplitJob } from './play.ts';

/** One split, in a thread of its own. */
parentPort?.postMessage(await playSplit(workerData as SplitJob, () => parentPort?.postMessage('play')));
