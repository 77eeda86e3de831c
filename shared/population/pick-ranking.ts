import type { RankingRecord } from '../lora/picks.ts';
import { pairedDifference } from './intervals.ts';
import { type Estimate, estimate } from './uplift.ts';

/** How well the choice model ranked picks of sampled users, each pick before it was learned. */
export interface PickRanking {
  /** Users with ranked picks. */
  readonly users: number;
  /**
   * Mean over these users of their mean pick percentile, with its 95 % interval; ½ is no better
   * than popularity. Null with fewer than two users.
   */
  readonly percentile: Estimate;
}

/** Every user counts once, regardless of the number of picks. */
export function pickRankingOf(records: Iterable<RankingRecord>): PickRanking {
  const percentiles: number[] = [];
  for (const { count, excess } of records) if (count > 0) percentiles.push(0.5 + excess / count);
  return { users: percentiles.length, percentile: estimate(pairedDifference(percentiles)) };
}
