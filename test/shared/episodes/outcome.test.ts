import { expect, it } from 'vitest';
import { episodeReward, succeeded } from '../../../shared/episodes/outcome.ts';

const outcome = (loss: number, lossWithoutAdapter: number) => ({
  rewards: 1,
  meanReward: 0.5,
  loss,
  lossWithoutAdapter,
  lossOfWarmStart: 0,
});

it('rewards an adapter for better predictions than without it, and calls that success', () => {
  expect(episodeReward(outcome(0, 0.1))).toBe(1);
  expect(episodeReward(outcome(0.05, 0.1))).toBeCloseTo(0.8367, 4);
  expect(episodeReward(outcome(0.1, 0.1))).toBe(0.7);
  expect(episodeReward(outcome(0, 0))).toBe(0.7);
  expect(episodeReward(outcome(0.2, 0.1))).toBeCloseTo(0.49, 10);
  expect(episodeReward(outcome(0.1, 0))).toBe(0);
  expect([0.05, 0.1, 0.2].map((loss) => succeeded(outcome(loss, 0.1)))).toEqual([true, false, false]);
});
