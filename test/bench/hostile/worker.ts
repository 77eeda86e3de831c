import { loadRatings } from '../../../cli/replay/datasets/ratings.ts';
import { doJobs } from '../threads.ts';
import { type Feedback, type PlayedAttack, type PlayOptions, playAttack } from './play.ts';

/** One attack on one split. */
export interface AttackJob extends PlayOptions {
  readonly folder: string;
  readonly feedback: Feedback;
}

doJobs(
  ({ folder, feedback, ...options }: AttackJob): Promise<PlayedAttack> =>
    playAttack(loadRatings(folder), feedback, options),
);
