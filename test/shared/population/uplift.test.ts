import { describe, expect, test } from 'vitest';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { upliftOf } from '../../../shared/population/uplift.ts';

function episode(userKey: string, outcome: Partial<Episode['outcome']>): Episode {
  return {
    userKey,
    version: 1,
    cell: 'bayesian-r4-d64',
    committedAt: 0,
    context: { events: 1, interactions: 5, samplesSeen: 0, skillsVersion: 0 },
    outcome: {
      rewards: 5,
      meanReward: 0.5,
      loss: 0.04,
      lossWithoutAdapter: 0.05,
      lossOfWarmStart: 0.05,
      ...outcome,
    },
    residuals: [],
  };
}
const heldOut = (userKey: string, outcome: Partial<Episode['outcome']>): Episode => ({
  ...episode(userKey, outcome),
  heldOut: true,
});

describe('uplift', () => {
  test('is null without users, and has no interval with one user', () => {
    const nothing = { mean: null, low: null, high: null };
    expect(upliftOf([])).toEqual({ users: 0, heldOutUsers: 0, loss: nothing, reward: nothing });
    expect(upliftOf([episode('a', {})])).toMatchObject({ users: 1, loss: nothing });
  });

  test('of loss is the change of the mean loss over users, independent of their numbers of rewards', () => {
    const { loss } = upliftOf([
      episode('a', { rewards: 100, loss: 0.02, lossWithoutAdapter: 0.04 }),
      episode('b', { rewards: 1, loss: 0.06, lossWithoutAdapter: 0.06 }),
    ]);
    expect(loss.mean).toBeCloseTo(0.08 / 0.1 - 1, 12);
  });

  test('weighs the episodes of a user by their rewards', () => {
    const { loss } = upliftOf([
      episode('a', { rewards: 3, loss: 0.02, lossWithoutAdapter: 0.04 }),
      episode('a', { rewards: 1, loss: 0.06, lossWithoutAdapter: 0.04 }),
      episode('b', { rewards: 1, loss: 0.03, lossWithoutAdapter: 0.04 }),
    ]);
    expect(loss.mean).toBeCloseTo(0.03 / 0.04 - 1, 12);
  });

  test('of reward compares served users with held-out users', () => {
    const found = upliftOf([
      episode('s1', { meanReward: 0.8 }),
      episode('s2', { meanReward: 0.6 }),
      heldOut('h1', { meanReward: 0.5 }),
      heldOut('h2', { meanReward: 0.3 }),
    ]);
    expect(found).toMatchObject({ users: 4, heldOutUsers: 2 });
    expect(found.reward.mean).toBeCloseTo(0.3, 12);
    // Both variances are .02, of two users each: Student's quantile of two degrees of freedom.
    expect(found.reward.high! - found.reward.mean!).toBeCloseTo(4.3027 * Math.sqrt(0.02), 4);
  });

  test('counts a user who was held out later once, with the rewards since then', () => {
    const found = upliftOf([
      episode('s1', { meanReward: 0.8 }),
      episode('s2', { meanReward: 0.6 }),
      episode('h1', { meanReward: 1 }),
      heldOut('h1', { meanReward: 0.5 }),
      heldOut('h2', { meanReward: 0.3 }),
    ]);
    expect(found).toMatchObject({ users: 4, heldOutUsers: 2 });
    expect(found.reward.mean).toBeCloseTo(0.3, 12);
  });

  test('leaves out updates without rewards', () => {
    expect(upliftOf([episode('a', { rewards: 0 })]).users).toBe(0);
  });

  test('has intervals that hold the truth 95 times of 100', () => {
    const random = createRandom('uplift');
    let loss = 0;
    let reward = 0;
    const runs = 400;
    for (let run = 0; run < runs; run++) {
      const episodes = Array.from({ length: 120 }, (_, i) => {
        const without = 0.05 + 0.01 * random.normal();
        return (i < 40 ? heldOut : episode)(`${i}`, {
          lossWithoutAdapter: without,
          loss: 0.9 * without + 0.005 * random.normal(),
          meanReward: (i < 40 ? 0.5 : 0.6) + 0.1 * random.normal(),
        });
      });
      const found = upliftOf(episodes);
      if (found.loss.low! < -0.1 && found.loss.high! > -0.1) loss += 1;
      if (found.reward.low! < 0.1 && found.reward.high! > 0.1) reward += 1;
    }
    for (const held of [loss, reward]) {
      expect(held / runs).toBeGreaterThan(0.92);
      expect(held / runs).toBeLessThan(0.98);
    }
  });
});
