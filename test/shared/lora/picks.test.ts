import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createBayesianState, train } from '../../../shared/lora/bayesian.ts';
import { meanPickWeight, pickWeights } from '../../../shared/lora/pick-weights.ts';
import {
  addPick,
  emptyPicks,
  hasConstantRewards,
  pickSums,
  picksOf,
  spreadOf,
} from '../../../shared/lora/picks.ts';
import { initialPriorOf } from '../../../shared/lora/prior.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { addReward, emptyStatistics } from '../../../shared/lora/statistics.ts';
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

  const sumsOf = (interactions: readonly { psi: Float64Array; reward: number }[]) => {
    let [statistics, picks] = [emptyStatistics(3), emptyPicks(3)];
    for (const { psi, reward } of interactions) {
      // Item effects belong to the reward model alone.
      statistics = addReward(statistics, psi, reward, 0.1);
      picks = addPick(picks, psi, reward);
    }
    return { statistics, picks };
  };

  it('are weighed by how far a reward is above what the user usually gives', () => {
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 20 }), (seed, count) => {
        const random = createRandom(seed);
        const interactions = range(count).map(() => ({
          psi: Float64Array.of(random.normal(), random.normal(), 1),
          reward: random.next(),
        }));
        const { statistics, picks } = sumsOf(interactions);
        const spread = { mean: 0.6, deviation: 0.2 };
        const { from, unit } = pickWeights(statistics, spread);
        const weights = interactions.map(({ reward }) => (reward - from) / unit);
        const found = pickSums(statistics, picks, spread);
        expect(found.weight).toBeCloseTo(
          weights.reduce((sum, weight) => sum + weight, 0),
          9,
        );
        expect(found.count).toBeCloseTo(
          weights.reduce((sum, weight) => sum + weight * weight, 0),
          9,
        );
        for (const i of [0, 1]) {
          const expected = interactions.reduce((sum, { psi }, k) => sum + weights[k]! * psi[i]!, 0);
          expect(found.sum[i]).toBeCloseTo(expected, 9);
        }
      }),
      cases(50),
    );
  });

  it('are what was clicked, where rewards are 1 and 0', () => {
    const random = createRandom('shown');
    const shown = range(100).map((i) => ({
      psi: Float64Array.of(random.normal(), random.normal(), 1),
      reward: Number(i % 5 === 0),
    }));
    const all = sumsOf(shown);
    const spread = spreadOf([all], 0.03)!;
    expect(spread.mean).toBeCloseTo(0.2, 9);
    expect(spread.deviation).toBeCloseTo(0.4, 9);
    const clicks = sumsOf(shown.filter(({ reward }) => reward === 1));
    const expected = pickSums(clicks.statistics, clicks.picks, null);
    const found = pickSums(all.statistics, all.picks, spread);
    expect(found.count).toBeCloseTo(20, 9);
    expect(found.weight).toBeCloseTo(20, 9);
    expect(difference(found.sum, expected.sum)).toBeLessThan(1e-9);
  });

  it('speak against what a user disliked', () => {
    const spread = { mean: 0.7, deviation: 0.2 };
    const disliked = sumsOf(
      range(30).map((i) => ({ psi: Float64Array.of(1, 0, 1), reward: i < 25 ? 1 : 0 })),
    );
    const { from } = pickWeights(disliked.statistics, spread);
    expect(from).toBeGreaterThan(0.5);
    const one = sumsOf([{ psi: Float64Array.of(1, 0, 1), reward: 0 }]);
    const { weight, count, sum } = pickSums(one.statistics, one.picks, spread);
    expect(weight).toBeLessThan(-0.5);
    expect(sum[0]).toBeCloseTo(weight, 12);
    expect(count).toBeGreaterThan(0);
  });

  it('of an item are its rewards, those of liked items more', () => {
    expect(meanPickWeight({ count: 7, sum: -1 }, null)).toBe(1);
    const spread = { mean: 0.7, deviation: 0.2 };
    expect(meanPickWeight({ count: 10, sum: 0 }, spread)).toBeCloseTo(0.5, 9);
    // One deviation below what was expected, each of them.
    expect(meanPickWeight({ count: 10, sum: -2 }, spread)).toBeCloseTo(0, 9);
    expect(meanPickWeight({ count: 10, sum: 2 }, spread)).toBeCloseTo(1, 9);
    expect(meanPickWeight({ count: 10, sum: -9 }, spread)).toBe(0);
  });

  it('have no spread when all rewards are the same', () => {
    const psi = Float64Array.of(0, 0, 1);
    expect(spreadOf([sumsOf([{ psi, reward: 0.3 }])], 0.03)).toBeNull();
    expect(spreadOf([sumsOf([{ psi, reward: 0 }])], 0.03)).toBeNull();
    expect(spreadOf([sumsOf([{ psi, reward: 0.3 }]), sumsOf([{ psi, reward: 0.5 }])], 0.03)).toEqual({
      mean: expect.closeTo(0.4, 9),
      deviation: expect.closeTo(0.1, 9),
    });
  });

  it('count no pick for a reward of 0', () => {
    const picks = range(3).reduce((sum) => addPick(sum, Float64Array.of(0.5, 1), 0), emptyPicks(2));
    expect(picks).toEqual(emptyPicks(2));
  });
});
