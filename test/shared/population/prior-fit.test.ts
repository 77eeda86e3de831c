import { describe, expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';
import type { Evidence } from '../../../shared/episodes/cell-strategy.ts';
import { initialPrior } from '../../../shared/lora/prior.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { addReward, emptyStatistics } from '../../../shared/lora/statistics.ts';
import { objectionTo, proposePrior } from '../../../shared/population/prior-fit.ts';
import { isValidationUser, sampleOf } from '../../../shared/population/validation-fold.ts';

/** This many keys outside or inside the validation fold. */
const keys = (count: number, inside: boolean) =>
  Array.from({ length: 20 * count + 100 }, (_, i) => userKey(`user ${i}`))
    .filter((key) => isValidationUser(key) === inside)
    .slice(0, count);

/** A user with an own mean reward near `mean`, and noise. */
const person = (userKey: string, mean: number, { rewards = 20, noise = 0.1, spread = 0.1 } = {}) => {
  const random = createRandom(userKey);
  const own = mean + spread * random.normal();
  let statistics = emptyStatistics(1);
  for (let n = 0; n < rewards; n++)
    statistics = addReward(statistics, Float64Array.of(1), own + noise * random.normal(), 0);
  return { userKey, statistics };
};

const base = initialPrior(null, 1);
const peopleOf = (outside: number, inside: number, validationUsers = 40) => [
  ...keys(80, false).map((key) => person(key, outside)),
  ...keys(validationUsers, true).map((key) => person(key, inside)),
];

describe('proposing a prior', () => {
  test('fits the users outside the validation fold, and compares priors on the users inside', () => {
    const { prior, evidence, better, unusual } = proposePrior(base, base, peopleOf(0.8, 0.8))!;
    expect(evidence).toMatchObject({ users: 80, validationUsers: 40 });
    expect(unusual).toEqual([]);
    expect(better).toBe(true);
    expect(prior.meanReward).toBeCloseTo(0.8, 1);
    expect(evidence.logLikelihoodAfter).toBeGreaterThan(evidence.logLikelihoodBefore);
  });

  describe('a prior when users inside the validation fold are unlike those outside', () => {
    const current = proposePrior(base, base, peopleOf(0.5, 0.5))!.prior;
    const proposed = (validationUsers: number, evidence: Evidence | null = null) =>
      proposePrior(current, base, peopleOf(0.62, 0.5, validationUsers), evidence)!;

    test.each([
      [8, true],
      [80, false],
      [200, false],
    ])('compared on %i users, is accepted: %s', (validationUsers, expected) => {
      const { evidence, tolerance, better } = proposed(validationUsers);
      const gain = evidence.logLikelihoodAfter - evidence.logLikelihoodBefore;
      expect(gain).toBeLessThan(0);
      expect(better).toBe(expected);
      expect(evidence.shortfall).toBeCloseTo(-gain, 12);
      if (expected) expect(gain).toBeGreaterThan(-tolerance);
      else expect(gain).toBeLessThan(-tolerance);
    });

    test('is rejected when its shortfall and that of the priors before it add up to too much', () => {
      const { evidence, tolerance } = proposed(8);
      const rest = tolerance - evidence.shortfall;
      const accepted = (shortfall: number) => proposed(8, { ...evidence, shortfall }).better;
      expect([accepted(rest - 1e-9), accepted(rest + 1e-9)]).toEqual([true, false]);
    });

    test('is rejected with the numbers as reason', () => {
      const proposal = proposed(80);
      const { logLikelihoodBefore: before, logLikelihoodAfter: after, shortfall } = proposal.evidence;
      expect(objectionTo(proposal, [])).toBe(
        `log likelihood ${after.toFixed(6)} per reward of ${proposal.evidence.validationUsers} validation users, ` +
          `expected more than ${before.toFixed(6)}, or a total shortfall below ${proposal.tolerance.toFixed(6)}, ` +
          `found ${shortfall.toFixed(6)}`,
      );
      const nobody = { userKey: userKey('nobody'), statistics: emptyStatistics(1) };
      const fitted = keys(54, false).map((key) => person(key, 0.8));
      expect(objectionTo(undefined, [...fitted, nobody])).toBe(
        '54 users to fit and 0 to validate, expected at least 1 of each',
      );
    });
  });

  test('leaves out a user with an unusual mean reward, and names the key', () => {
    const zeros = person(keys(81, false)[80]!, 0, { rewards: 500, noise: 0, spread: 0 });
    const honest = proposePrior(base, base, peopleOf(0.7, 0.7))!;
    const { prior, unusual } = proposePrior(base, base, [...peopleOf(0.7, 0.7), zeros])!;
    expect(prior).toEqual(honest.prior);
    expect(unusual).toEqual([
      {
        userKey: zeros.userKey,
        why: expect.stringMatching(/^mean reward 0\.000 of 500, expected 0\.\d+ to \d\.\d+$/),
      },
    ]);
  });

  test('counts a user once in the mean reward, however many interactions there are', () => {
    const busy = person(keys(81, false)[80]!, 0.9, { rewards: 5_000, spread: 0 });
    const meanReward = (more: (typeof busy)[]) =>
      proposePrior(base, base, [...peopleOf(0.7, 0.7), ...more])!.prior.meanReward;
    expect(Math.abs(meanReward([busy]) - meanReward([]))).toBeLessThan(0.005);
  });

  test('accepts a prior that all others gain from, despite one unusual user of the validation fold', () => {
    const random = person(keys(41, true)[40]!, 0.8, { rewards: 500, noise: 0.8, spread: 0 });
    const before = proposePrior(base, base, peopleOf(0.8, 0.8))!.evidence;
    const { evidence, better } = proposePrior(base, base, [...peopleOf(0.8, 0.8), random])!;
    expect(evidence.validationUsers).toBe(41);
    expect(better).toBe(true);
    const gain = (of: Evidence) => of.logLikelihoodAfter - of.logLikelihoodBefore;
    expect(gain(evidence)).toBeGreaterThan(0.8 * gain(before));
  });

  test('takes at most 200 of the newest users on each side of the validation fold', () => {
    const newcomers = Array.from({ length: 4_000 }, (_, i) => userKey(`newcomer ${i}`));
    const sampled = sampleOf(newcomers);
    expect(sampled.filter(isValidationUser)).toEqual(newcomers.filter(isValidationUser).slice(0, 200));
    const isOutside = (key: string) => !isValidationUser(key);
    expect(sampled.filter(isOutside)).toEqual(newcomers.filter(isOutside).slice(0, 200));
  });

  test('needs a user on each side of the validation fold', () => {
    const sample = peopleOf(0.8, 0.8);
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
