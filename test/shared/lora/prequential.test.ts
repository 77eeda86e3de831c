import { describe, expect, it } from 'vitest';
import {
  NO_PREDICTIONS,
  type PrequentialRecord,
  recordPrediction,
  type ServingMode,
  servingMode,
  shrunkenMean,
} from '../../../shared/lora/prequential.ts';
import { createRandom } from '../../../shared/lora/random.ts';

const prediction = {
  reward: 1,
  predicted: 0.5,
  predictedByUserMean: 0.8,
  predictedByWarmStart: 0,
  itemResidual: 0,
};

describe('recordPrediction', () => {
  it('sums losses, and the squares of their differences', () => {
    const once = recordPrediction(NO_PREDICTIONS, prediction);
    const twice = recordPrediction(once, { ...prediction, reward: 0 });
    expect(once.count).toBe(1);
    const expected: [keyof PrequentialRecord, number, number][] = [
      ['adapterLoss', 0.25, 0.25],
      ['userMeanLoss', 0.04, 0.64],
      ['warmStartLoss', 1, 0],
      ['adapterUserMeanSquares', 0.21 ** 2, 0.39 ** 2],
      ['adapterWarmStartSquares', 0.75 ** 2, 0.25 ** 2],
      ['warmStartUserMeanSquares', 0.96 ** 2, 0.64 ** 2],
    ];
    for (const [name, first, second] of expected) {
      expect(once[name]).toBeCloseTo(first, 12);
      expect(twice[name]).toBeCloseTo(first + second, 12);
    }
    expect(NO_PREDICTIONS.count).toBe(0);
  });
});

describe('shrunkenMean', () => {
  it('weighs the mean reward of all as twenty interactions', () => {
    expect(shrunkenMean({ rewardSum: 0, count: 0 }, 0.6)).toBeCloseTo(0.6, 12);
    expect(shrunkenMean({ rewardSum: 20, count: 20 }, 0.6)).toBeCloseTo(0.8, 12);
  });
});

/** A user's life: each prediction misses the user's expected reward by the given errors. */
function live(
  seed: string,
  errors: { adapter: number; userMean: number; warmStart: number },
  length: number,
): { record: PrequentialRecord; modes: ServingMode[] } {
  const random = createRandom(seed);
  let record = NO_PREDICTIONS;
  const modes: ServingMode[] = [];
  for (let n = 0; n < length; n++) {
    const expected = 0.5;
    const miss = (error: number) => expected + (random.next() < 0.5 ? error : -error);
    record = recordPrediction(record, {
      reward: expected + 0.2 * random.normal(),
      predicted: miss(errors.adapter),
      predictedByUserMean: miss(errors.userMean),
      predictedByWarmStart: miss(errors.warmStart),
      itemResidual: 0,
    });
    modes.push(servingMode(record));
  }
  return { record, modes };
}

describe('servingMode', () => {
  it('serves the adapter of a user without feedback', () => {
    expect(servingMode(NO_PREDICTIONS)).toBe('adapter');
    expect(servingMode(recordPrediction(NO_PREDICTIONS, { ...prediction, predicted: 0 }))).toBe('adapter');
  });

  it('almost never, over a whole life, rejects an adapter that is as good as the alternatives', () => {
    const lives = 400;
    let stoodDown = 0;
    for (let user = 0; user < lives; user++) {
      const { modes } = live(`fair ${user}`, { adapter: 0.1, userMean: 0.1, warmStart: 0.1 }, 300);
      if (modes.some((mode) => mode !== 'adapter')) stoodDown += 1;
    }
    // Two comparisons at 5 % each; the bound is not tight.
    expect(stoodDown / lives).toBeLessThan(0.1);
    expect(stoodDown).toBeGreaterThan(0);
  });

  it('never rejects an adapter that predicts better', () => {
    for (let user = 0; user < 50; user++) {
      const { modes } = live(`better ${user}`, { adapter: 0.05, userMean: 0.15, warmStart: 0.15 }, 300);
      expect(modes.slice(50).every((mode) => mode === 'adapter')).toBe(true);
    }
  });

  it('detects a harmful adapter, and serves the warm start, or the base when that harms too', () => {
    const at = (modes: ServingMode[], mode: ServingMode) => modes.indexOf(mode);
    const detected: number[] = [];
    for (let user = 0; user < 50; user++) {
      const harmful = live(`harm ${user}`, { adapter: 0.25, userMean: 0, warmStart: 0 }, 300);
      expect(harmful.modes.at(-1)).toBe('warm-start');
      detected.push(at(harmful.modes, 'warm-start'));
      const both = live(`both ${user}`, { adapter: 0.25, userMean: 0, warmStart: 0.25 }, 300);
      expect(both.modes.at(-1)).toBe('base');
    }
    detected.sort((a, b) => a - b);
    expect(detected[25]).toBeLessThan(80);
    expect(detected[0]).toBeGreaterThan(5);
  });

  it('serves the warm start when only that is better than the adapter', () => {
    const { modes } = live('warm', { adapter: 0.25, userMean: 0.25, warmStart: 0 }, 300);
    expect(modes.at(-1)).toBe('warm-start');
  });

  it('costs a harmed user at most the documented boundary before it acts', () => {
    for (let user = 0; user < 50; user++) {
      const random = createRandom(`cost ${user}`);
      let record = NO_PREDICTIONS;
      while (servingMode(record) === 'adapter' && record.count < 1000) {
        const reward = 0.5 + 0.2 * random.normal();
        record = recordPrediction(record, {
          ...prediction,
          reward,
          predicted: 0.8,
          predictedByUserMean: 0.5,
          predictedByWarmStart: 0.5,
        });
      }
      const variance = record.adapterUserMeanSquares + 0.02;
      const boundary = Math.sqrt(variance * Math.log(variance / (0.02 * 0.05 ** 2)));
      const excess = record.adapterLoss - record.userMeanLoss;
      expect(excess).toBeGreaterThanOrEqual(boundary);
      // One prediction earlier the boundary was not reached: only the last loss exceeds it.
      expect(excess).toBeLessThan(boundary + 1);
      expect(record.count).toBeLessThan(200);
    }
  });
});
