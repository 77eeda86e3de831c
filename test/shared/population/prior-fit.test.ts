import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { initialPrior } from '../../../shared/lora/prior.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { addReward, emptyStatistics } from '../../../shared/lora/statistics.ts';
import { initialPopulationModel } from '../../../shared/population/population-model.ts';
import {
  isValidationUser,
  nextDue,
  objectionTo,
  proposePrior,
  sampleOf,
  takeIn,
} from '../../../shared/population/prior-fit.ts';

const episode = (user: string, version: number, residuals: [bigint, number][]): Episode => ({
  userKey: userKey(user),
  version,
  cell: 'cell',
  committedAt: 1,
  context: { events: 1, interactions: residuals.length, samplesSeen: 0, skillsVersion: 0 },
  outcome: { rewards: 1, meanReward: 0.5, loss: 0, lossWithoutAdapter: 0, lossOfWarmStart: 0 },
  residuals: residuals.map(([itemKey, residual]) => ({ itemKey, residual })),
});

describe('taking in episodes', () => {
  test('adds residuals item by item, whatever order the episodes were found in, to the byte', () => {
    const random = createRandom(7);
    const episodes = Array.from({ length: 30 }, (_, i) =>
      episode(`user ${i % 6}`, Math.floor(i / 6) + 1, [[BigInt(random.integer(4)), random.normal()]]),
    );
    const taken = (order: readonly Episode[]) =>
      takeIn(
        initialPopulationModel(null),
        order.map((each, i) => ({ episode: each, shard: 0, position: String(i).padStart(3, '0') })),
      );
    const expected = taken(episodes).items;
    const total = episodes.flatMap(({ residuals }) => residuals).filter(({ itemKey }) => itemKey === 2n);
    expect(expected.sums.get(2n)!.count).toBe(total.length);
    expect(expected.sums.get(2n)!.sum).toBeCloseTo(
      total.reduce((sum, { residual }) => sum + residual, 0),
      10,
    );
    fc.assert(
      fc.property(fc.shuffledSubarray(episodes, { minLength: 30 }), (order) => {
        const { sums, squares } = taken(order).items;
        expect(squares).toBe(expected.squares);
        for (const [key, item] of expected.sums) expect(sums.get(key)).toEqual(item);
      }),
    );
  });

  test('counts an episode once that an index holds twice', () => {
    const twice = episode('ada', 3, [[1n, 0.25]]);
    const found = ['a', 'b'].map((position) => ({ episode: twice, shard: 0, position }));
    expect(takeIn(initialPopulationModel(null), found).items.sums.get(1n)).toEqual({
      sum: 0.25,
      count: 1,
    });
  });

  test('remembers the last position of each shard', () => {
    const at = (shard: number, position: string) => ({ episode: episode(position, 1, []), shard, position });
    const first = takeIn(initialPopulationModel(null), [at(2, 'b'), at(2, 'c'), at(0, 'x')]);
    expect(first.progress).toMatchObject({ watermarks: ['x', '', 'c'], episodes: 3 });
    expect(takeIn(first, [at(1, 'm')]).progress).toMatchObject({ watermarks: ['x', 'm', 'c'], episodes: 4 });
  });
});

describe('proposing a prior', () => {
  /** Users whose rewards lie around `mean`. */
  const users = (count: number, mean: number) =>
    Array.from({ length: count }, (_, i) => {
      const random = createRandom(`user ${i}`);
      let statistics = emptyStatistics(1);
      for (let n = 0; n < 20; n++)
        statistics = addReward(statistics, Float64Array.of(1), mean + 0.05 * random.normal(), 0);
      return { userKey: userKey(`user ${i}`), statistics };
    });
  const base = initialPrior(null, 1);

  test('fits those outside of the validation fold, and is judged by those inside', () => {
    const sample = users(60, 0.8);
    const { prior, evidence, better } = proposePrior(base, base, sample)!;
    const validation = sample.filter(({ userKey }) => isValidationUser(userKey));
    expect(evidence).toMatchObject({ users: 60 - validation.length, validationUsers: validation.length });
    expect(validation.length).toBeGreaterThan(0);
    expect(better).toBe(true);
    expect(prior.meanReward).toBeCloseTo(0.8, 1);
    expect(evidence.logLikelihoodAfter).toBeGreaterThan(evidence.logLikelihoodBefore);
  });

  test('is not better when those inside are unlike those outside', () => {
    const unlike = users(60, 0.9).map((user) =>
      isValidationUser(user.userKey) ? { ...user, statistics: users(1, 0.1)[0]!.statistics } : user,
    );
    expect(proposePrior(base, base, unlike)!.better).toBe(false);
  });

  describe('that falls short by less than its error', () => {
    /** So many users of the fold, most of whom are like those outside; the others pull the mean of the fold down a little. */
    const sampleWith = (validationUsers: number) => {
      const inside = Array.from({ length: 20 * validationUsers }, (_, i) => userKey(`inside ${i}`))
        .filter(isValidationUser)
        .slice(0, validationUsers);
      const like = users(1, 0.8)[0]!.statistics;
      const unlike = users(1, 0.1)[0]!.statistics;
      return [
        ...users(60, 0.8).filter((user) => !isValidationUser(user.userKey)),
        ...inside.map((key, i) => ({ userKey: key, statistics: i % 4 === 0 ? unlike : like })),
      ];
    };

    test.each([
      [8, true],
      [28, true],
      [32, false],
      [80, false],
    ])('on %i users of the fold is put in force: %s', (validationUsers, expected) => {
      const { evidence, tolerance, better } = proposePrior(base, base, sampleWith(validationUsers))!;
      const gain = evidence.logLikelihoodAfter - evidence.logLikelihoodBefore;
      expect(gain).toBeLessThan(0);
      expect(evidence).toMatchObject({ validationUsers });
      expect(better).toBe(expected);
      expect(evidence.shortfall).toBeCloseTo(-gain, 12);
      if (expected) expect(gain).toBeGreaterThan(-tolerance);
      else expect(tolerance).toBe(0);
    });

    test('is turned down when those before it fell short by the rest', () => {
      const { evidence, tolerance } = proposePrior(base, base, sampleWith(8))!;
      const before = { ...evidence, shortfall: tolerance - evidence.shortfall };
      const just = proposePrior(base, base, sampleWith(8), {
        ...before,
        shortfall: before.shortfall - 1e-9,
      })!;
      const rest = proposePrior(base, base, sampleWith(8), {
        ...before,
        shortfall: before.shortfall + 1e-9,
      })!;
      expect([just.better, rest.better]).toEqual([true, false]);
    });
  });

  test('of users who came last takes 200 of either part at most', () => {
    const newcomers = Array.from({ length: 4_000 }, (_, i) => userKey(`newcomer ${i}`));
    const sampled = sampleOf(newcomers);
    expect(sampled.filter(isValidationUser)).toEqual(newcomers.filter(isValidationUser).slice(0, 200));
    const isOutside = (key: string) => !isValidationUser(key);
    expect(sampled.filter(isOutside)).toEqual(newcomers.filter(isOutside).slice(0, 200));
  });

  test('is turned down in numbers', () => {
    const sample = users(60, 0.8);
    const validation = sample.filter(({ userKey }) => isValidationUser(userKey)).length;
    const unlike = sample.map((user) =>
      isValidationUser(user.userKey) ? { ...user, statistics: users(1, 0.1)[0]!.statistics } : user,
    );
    const { evidence, ...proposal } = proposePrior(base, base, unlike)!;
    const { logLikelihoodBefore: before, logLikelihoodAfter: after } = evidence;
    expect(objectionTo({ ...proposal, evidence }, unlike)).toBe(
      `log likelihood ${after.toFixed(6)} per reward of ${validation} validation users, expected more than ${before.toFixed(6)}`,
    );
    const nobody = { userKey: userKey('nobody'), statistics: emptyStatistics(1) };
    const fitted = sample.filter(({ userKey }) => !isValidationUser(userKey));
    expect(objectionTo(undefined, [...fitted, nobody])).toBe(
      `${60 - validation} users to fit and 0 to validate, expected at least 1 of each`,
    );
  });

  test('needs somebody in either part', () => {
    const sample = users(60, 0.8);
    expect(
      proposePrior(
        base,
        base,
        sample.filter(({ userKey }) => isValidationUser(userKey)),
      ),
    ).toBeUndefined();
    expect(
      proposePrior(
        base,
        base,
        sample.filter(({ userKey }) => !isValidationUser(userKey)),
      ),
    ).toBeUndefined();
    expect(proposePrior(base, base, [])).toBeUndefined();
  });
});

test('the next consolidation is due after 20 more episodes, and later after a quarter more', () => {
  expect([0, 20, 80, 81, 1000].map(nextDue)).toEqual([20, 40, 100, 102, 1250]);
});
