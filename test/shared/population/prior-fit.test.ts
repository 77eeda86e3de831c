import { describe, expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';
import { initialPrior } from '../../../shared/lora/prior.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { addReward, emptyStatistics } from '../../../shared/lora/statistics.ts';
import { objectionTo, proposePrior } from '../../../shared/population/prior-fit.ts';
import { isValidationUser, sampleOf } from '../../../shared/population/validation-fold.ts';

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

  test('is fitted to users outside the validation fold, and compared on the users inside', () => {
    const sample = users(60, 0.8);
    const { prior, evidence, better } = proposePrior(base, base, sample)!;
    const validation = sample.filter(({ userKey }) => isValidationUser(userKey));
    expect(evidence).toMatchObject({ users: 60 - validation.length, validationUsers: validation.length });
    expect(validation.length).toBeGreaterThan(0);
    expect(better).toBe(true);
    expect(prior.meanReward).toBeCloseTo(0.8, 1);
    expect(evidence.logLikelihoodAfter).toBeGreaterThan(evidence.logLikelihoodBefore);
  });

  test('is not better when users inside the fold differ from those outside', () => {
    const unlike = users(60, 0.9).map((user) =>
      isValidationUser(user.userKey) ? { ...user, statistics: users(1, 0.1)[0]!.statistics } : user,
    );
    expect(proposePrior(base, base, unlike)!.better).toBe(false);
  });

  describe('with a shortfall below its error', () => {
    /**
     * Users of the fold, most of them like those outside; the others reduce the mean of the fold a
     * little.
     */
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
    ])('with %i validation users is accepted: %s', (validationUsers, expected) => {
      const { evidence, tolerance, better } = proposePrior(base, base, sampleWith(validationUsers))!;
      const gain = evidence.logLikelihoodAfter - evidence.logLikelihoodBefore;
      expect(gain).toBeLessThan(0);
      expect(evidence).toMatchObject({ validationUsers });
      expect(better).toBe(expected);
      expect(evidence.shortfall).toBeCloseTo(-gain, 12);
      if (expected) expect(gain).toBeGreaterThan(-tolerance);
      else expect(tolerance).toBe(0);
    });

    test('is rejected when the shortfall of earlier priors exceeds the rest of the tolerance', () => {
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

  test('samples at most 200 of the newest users on each side of the fold', () => {
    const newcomers = Array.from({ length: 4_000 }, (_, i) => userKey(`newcomer ${i}`));
    const sampled = sampleOf(newcomers);
    expect(sampled.filter(isValidationUser)).toEqual(newcomers.filter(isValidationUser).slice(0, 200));
    const isOutside = (key: string) => !isValidationUser(key);
    expect(sampled.filter(isOutside)).toEqual(newcomers.filter(isOutside).slice(0, 200));
  });

  test('is rejected with numbers', () => {
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

  test('needs users on both sides of the fold', () => {
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
