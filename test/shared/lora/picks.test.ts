import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBayesianState, train } from '../../../shared/lora/bayesian.ts';
import { addPick, emptyPicks, hasConstantRewards, picksOf } from '../../../shared/lora/picks.ts';
import { initialPriorOf } from '../../../shared/lora/prior.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { difference, range } from './dense.ts';
import { arbitraryBasis, cases, rewardsOf } from './fixtures.ts';

describe('picks', () => {
  it('follow exactly from the statistics of a user whose rewards were all 1', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 30 }), (seed, count) => {
        const random = createRandom(seed);
        const basis = arbitraryBasis(random);
        const model = { basis, prior: initialPriorOf(basis) };
        const clicks = rewardsOf(random, count, 5).map((interaction) => ({ ...interaction, reward: 1 }));
        const { state } = train(createBayesianState(basis), model, clicks);
        const derived = picksOf(state.statistics);
        expect(difference(derived.sum, state.picks!.sum)).toBeLessThan(1e-9);
        expect(derived.squares).toBe(state.picks!.squares);
      }),
      cases(50),
    );
  });

  it('of a state of an earlier version continue from its statistics', () => {
    const random = createRandom('earlier');
    const basis = arbitraryBasis(random);
    const model = { basis, prior: initialPriorOf(basis) };
    const clicks = rewardsOf(random, 8, 5).map((interaction) => ({ ...interaction, reward: 1 }));
    const half = train(createBayesianState(basis), model, clicks.slice(0, 4)).state;
    const whole = train(half, model, clicks.slice(4)).state;
    const resumed = train({ ...half, picks: null }, model, clicks.slice(4)).state;
    expect(difference(resumed.picks!.sum, whole.picks!.sum)).toBeLessThan(1e-9);
  });

  it('do not depend on how events were split into updates', () => {
    const random = createRandom('cut');
    const basis = arbitraryBasis(random);
    const model = { basis, prior: initialPriorOf(basis) };
    const rewards = rewardsOf(random, 9, 5);
    const together = train(createBayesianState(basis), model, rewards).state.picks!;
    let state = createBayesianState(basis);
    for (const reward of rewards) state = train(state, model, [reward]).state;
    expect(state.picks!.sum).toEqual(together.sum);
    expect(state.picks!.squares).toBe(together.squares);
  });

  it.each([
    [[1, 1, 1], true],
    [[0.3, 0.3, 0.3], true],
    [[0, 0], true],
    [[1, 0, 1], false],
    [[1, 1, 0.99], false],
  ])('of rewards %j are constant: %s', (rewards, constant) => {
    const psi = Float64Array.of(0.2, 1);
    const picks = rewards.reduce((sum, reward) => addPick(sum, psi, reward), emptyPicks(2));
    expect(hasConstantRewards(picks, rewards.length)).toBe(constant);
  });

  it('count no pick for a reward of 0', () => {
    const picks = range(3).reduce((sum) => addPick(sum, Float64Array.of(0.5, 1), 0), emptyPicks(2));
    expect(picks).toEqual(emptyPicks(2));
  });
});
