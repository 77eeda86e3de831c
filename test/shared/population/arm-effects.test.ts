import { describe, expect, it } from 'vitest';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { armEffects } from '../../../shared/population/arm-effects.ts';
import { studentQuantile } from '../../../shared/population/intervals.ts';
import { episodeOf } from '../../../shared/reasoning-bank/pattern.ts';

const DEFAULTS = { learner: 'sgd', rank: 4, embeddingDim: 64 };

function episode(user: number, reward: number, learningRate: number): Episode {
  const told = {
    sessionId: 's',
    task: 'rank 4',
    userId: `u${user}`,
    success: true,
    reward,
    hyperparameters: { learningRate },
  };
  return episodeOf(told, { id: 'id', now: 0, defaults: DEFAULTS });
}

describe('the effect of a hyperparameter', () => {
  it('counts users, however many episodes each has', () => {
    const episodes = [
      ...Array.from({ length: 50 }, () => episode(1, 0.9, 0.5)),
      episode(2, 0.5, 0.5),
      episode(3, 0.4, 0.1),
      episode(4, 0.6, 0.1),
    ];
    const [arm] = armEffects(episodes, { learningRate: 0.1 });
    expect(arm).toMatchObject({ value: 0.5, defaultValue: 0.1, episodes: 51, users: 2, defaultUsers: 2 });
    expect(arm?.effect).toBeCloseTo(0.2, 12);
    // Welch: standard error √(.08/2 + .02/2) = .2236, 1.47 degrees of freedom.
    expect(arm?.interval?.[1]).toBeGreaterThan(0.2 + 0.2236 * 4.3);
  });

  it('gives no interval where there is one user', () => {
    const [arm] = armEffects([episode(1, 0.9, 0.5), episode(2, 0.4, 0.1), episode(3, 0.4, 0.1)]);
    expect(arm).toMatchObject({ defaultValue: 0.1, value: 0.5, interval: null });
  });

  it('compares with nothing when no user had the configured value', () => {
    expect(armEffects([episode(1, 0.9, 0.5)], { learningRate: 0.1 })).toEqual([]);
  });

  it('finds an effect where there is none in at most one in twenty comparisons', () => {
    const random = createRandom('no effect');
    let found = 0;
    for (let trial = 0; trial < 400; trial++) {
      const episodes = Array.from({ length: 60 }, (_, user) =>
        episode(user, random.next(), [0.1, 0.2, 0.4][user % 3]!),
      );
      const arms = armEffects(episodes, { learningRate: 0.1 });
      if (arms.some(({ interval }) => interval !== null && (interval[0] > 0 || interval[1] < 0))) found += 1;
    }
    expect(found).toBeGreaterThan(0);
    expect(found).toBeLessThanOrEqual(30);
  });
});

describe("the quantile of Student's t", () => {
  it.each([
    [0.975, 1, 12.706],
    [0.975, 2, 4.303],
    [0.975, 5, 2.571],
    [0.975, 10, 2.228],
    [0.995, 10, 3.169],
    [0.975, 30, 2.042],
    [0.975, 1e6, 1.96],
  ])('at %d with %d degrees of freedom is %d', (probability, freedom, expected) => {
    expect(Math.abs(studentQuantile(probability, freedom) / expected - 1)).toBeLessThan(0.01);
  });
});
