import { describe, expect, test } from 'vitest';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { episodeReward } from '../../../shared/episodes/outcome.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { learningRateEffects } from '../../../shared/population/learning-rate-effects.ts';
import { objectionToLearningRate, recommend } from '../../../shared/population/recommendation.ts';

const random = createRandom('steps');
const REWARDS = 40;

/**
 * An episode of a user whose rewards contain `signal`, of which the adapter has learned rate/ideal.
 * The exact sums follow from REWARDS rewards with noise.
 */
function episode(user: number, rate: number, ideal: number, signal = 0.1): Episode {
  let loss = 0;
  let lossWithout = 0;
  let meanSquare = 0;
  for (let i = 0; i < REWARDS; i++) {
    const truth = signal * random.normal();
    const residual = truth + 0.2 * random.normal();
    const taste = (rate / ideal) * (signal === 0 ? 0.1 * random.normal() : truth);
    loss += (residual - taste) ** 2 / REWARDS;
    lossWithout += residual ** 2 / REWARDS;
    meanSquare += taste ** 2 / REWARDS;
  }
  return {
    userKey: `user ${user}`,
    version: 1,
    cell: 'sgd-r4-d64',
    committedAt: user,
    context: { events: 1, interactions: REWARDS, samplesSeen: 0, skillsVersion: 0 },
    outcome: {
      rewards: REWARDS,
      meanReward: 0.5,
      loss,
      lossWithoutAdapter: 1,
      lossOfWarmStart: 1,
      taste: { lossWithout, meanSquare },
    },
    residuals: [],
    hyperparameters: { learningRate: rate },
  };
}

const crowd = (rates: readonly (readonly [rate: number, users: number])[], ideal: number, signal?: number) =>
  rates.flatMap(([rate, users], arm) =>
    Array.from({ length: users }, (_, i) => episode(1000 * arm + i, rate, ideal, signal)),
  );
const recommended = (episodes: readonly Episode[], learningRate: number) =>
  recommend(episodes, { learningRate }).hints.map(({ value }) => value);

describe('a learning rate', () => {
  test('is compared by the loss of its users under the other one, by their own tastes', () => {
    const [a, b] = [episode(1, 0.1, 0.3), episode(2, 0.3, 0.3)];
    const [effect] = learningRateEffects([a, b], 0.1);
    expect(effect).toMatchObject({ value: 0.3, defaultValue: 0.1, users: 1, defaultUsers: 1, episodes: 1 });
    const differences = [a, b].map(({ outcome, hyperparameters }) => {
      const { lossWithout, meanSquare } = outcome.taste!;
      // Σ(e − kf)², with Σef from the three sums.
      const product = (lossWithout + meanSquare - outcome.loss) / 2;
      const at = (rate: number) => {
        const k = rate / hyperparameters!.learningRate!;
        const loss = lossWithout - 2 * k * product + k * k * meanSquare;
        return episodeReward({ loss, lossWithoutAdapter: lossWithout });
      };
      return at(0.3) - at(0.1);
    });
    expect(effect!.effect).toBeCloseTo((differences[0]! + differences[1]!) / 2, 12);
    expect(effect!.meanReward).toBeCloseTo(
      episodeReward({ loss: b.outcome.loss, lossWithoutAdapter: b.outcome.taste!.lossWithout }),
      12,
    );
  });

  test('counts each user once, whatever the number of episodes', () => {
    const again = { ...episode(1, 0.1, 0.3), version: 2 };
    const [effect] = learningRateEffects([episode(1, 0.1, 0.3), again, episode(2, 0.3, 0.3)], 0.1);
    expect(effect).toMatchObject({ users: 1, defaultUsers: 1 });
  });

  test('is compared by one difference per user, also for users with both values', () => {
    const moved = [episode(1, 0.1, 0.3), { ...episode(1, 0.3, 0.3), version: 2 }];
    const other = episode(2, 0.1, 0.3);
    const [effect] = learningRateEffects([...moved, other], 0.1);
    expect(effect).toMatchObject({ users: 1, defaultUsers: 1, episodes: 1 });
    const lossAt = ({ outcome, hyperparameters }: Episode, rate: number) => {
      const { lossWithout, meanSquare } = outcome.taste!;
      const k = rate / hyperparameters!.learningRate!;
      return lossWithout - k * (lossWithout + meanSquare - outcome.loss) + k * k * meanSquare;
    };
    const differences = [moved, [other]].map((own) => {
      const sum = (of: (one: Episode) => number) => own.reduce((total, one) => total + of(one), 0);
      const lossWithoutAdapter = sum(({ outcome }) => outcome.taste!.lossWithout);
      const at = (rate: number) =>
        episodeReward({ loss: sum((one) => lossAt(one, rate)), lossWithoutAdapter });
      return at(0.3) - at(0.1);
    });
    expect(effect!.effect).toBeCloseTo((differences[0]! + differences[1]!) / 2, 12);
  });

  test('is recommended by ten users, not by five with two values each', () => {
    const crowdOfBoth = (users: number) =>
      Array.from({ length: users }, (_, i) => [episode(i, 0.1, 0.3), episode(i, 0.3, 0.3)]).flat();
    expect(recommended(crowdOfBoth(5), 0.1)).toEqual([]);
    expect(recommended(crowdOfBoth(10), 0.1)).toEqual([0.3]);
  });

  test('is not compared across factors above four', () => {
    const far = learningRateEffects(
      crowd(
        [
          [0.1, 20],
          [0.5, 20],
        ],
        0.5,
      ),
      0.1,
    );
    expect(far).toMatchObject([{ value: 0.5, interval: null }]);
  });

  test('is not compared by episodes without taste or rewards', () => {
    const { taste: _, ...outcome } = episode(1, 0.3, 0.3).outcome;
    const silent = { ...episode(1, 0.3, 0.3), outcome };
    const empty = { ...episode(2, 0.3, 0.3), outcome: { ...episode(2, 0.3, 0.3).outcome, rewards: 0 } };
    expect(learningRateEffects([silent, empty], 0.1)).toEqual([]);
  });
});

describe('the recommended learning rate', () => {
  const ladder = [0.01, 0.03, 0.1, 0.3, 0.9].map((rate) => [rate, 12] as const);

  test('moves outwards from the configured one as long as every step is better', () => {
    expect(recommended(crowd(ladder, 0.3), 0.01)).toEqual([0.3]);
    expect(recommended(crowd(ladder, 0.3), 0.9)).toEqual([0.3]);
  });

  test('is the configured one when neighbours are not better', () => {
    expect(recommended(crowd(ladder, 0.3), 0.3)).toEqual([]);
  });

  test('does not skip a value that no user had', () => {
    const gap = ladder.filter(([rate]) => rate !== 0.1);
    expect(recommended(crowd(gap, 0.9), 0.01)).toEqual([0.03]);
  });

  test('does not go past an uncertain step', () => {
    const few = crowd(
      [
        [0.01, 4],
        [0.03, 4],
        [0.1, 20],
        [0.3, 20],
      ],
      0.3,
    );
    expect(recommended(few, 0.01)).toEqual([]);
  });

  test('needs ten users of a value or its neighbour', () => {
    expect(
      recommended(
        crowd(
          [
            [0.1, 4],
            [0.3, 5],
          ],
          0.3,
        ),
        0.1,
      ),
    ).toEqual([]);
    expect(
      recommended(
        crowd(
          [
            [0.1, 20],
            [0.3, 5],
          ],
          0.3,
        ),
        0.1,
      ),
    ).toEqual([0.3]);
  });

  test('changes by chance in at most one evaluation of twenty', () => {
    let misled = 0;
    for (let trial = 0; trial < 300; trial++) {
      // Only the taste of a ten times larger ideal rate would be significant: both neighbours are
      // equally good.
      const episodes = crowd(
        [
          [0.1, 8],
          [0.3, 8],
          [0.03, 8],
        ],
        100,
        0,
      );
      misled += recommended(episodes, 0.1).length;
    }
    expect(misled).toBeLessThanOrEqual(20);
  });

  test('comes with a reason for every rejected value', () => {
    const episodes = crowd(
      [
        [0.1, 3],
        [0.3, 3],
        [0.03, 20],
      ],
      0.1,
    );
    const [larger, smaller] = learningRateEffects(episodes, 0.1);
    expect(objectionToLearningRate(larger!)).toBe('6 users of this value or 0.1, expected at least 10');
    expect(objectionToLearningRate(smaller!)).toMatch(
      /^reward −\d\.\d{4} against 0\.1, 95 % interval −\d\.\d{4} to /,
    );
  });
});
