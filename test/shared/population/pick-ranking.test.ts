import { expect, test } from 'vitest';
import { NOTHING_RANKED, recordRank } from '../../../shared/lora/picks.ts';
import { pickRankingOf } from '../../../shared/population/pick-ranking.ts';

const ranked = (...percentiles: number[]) => percentiles.reduce(recordRank, NOTHING_RANKED);

test('every user counts once, and the interval is that of the mean over users', () => {
  const { users, percentile } = pickRankingOf([
    ranked(0.9, 0.9, 0.9, 0.9, 0.9, 0.9),
    ranked(0.5),
    ranked(0.7, 0.7),
    NOTHING_RANKED,
  ]);
  expect(users).toBe(3);
  expect(percentile.mean).toBeCloseTo(0.7, 12);
  // Student's 97.5 % quantile with two degrees of freedom is 4.3027, the standard error 0.2/√3.
  expect(percentile.high! - percentile.mean!).toBeCloseTo((4.3027 * 0.2) / Math.sqrt(3), 4);
});

test('is unknown with fewer than two users', () => {
  const nothing = { mean: null, low: null, high: null };
  expect(pickRankingOf([])).toEqual({ users: 0, percentile: nothing });
  expect(pickRankingOf([ranked(0.9)])).toEqual({ users: 1, percentile: nothing });
});
