import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../shared/errors.ts';
import { resolveHyperparameters } from '../../../shared/lora/hyperparameters.ts';

const declared = {
  rate: { default: 0.1, minimum: 1e-6, maximum: 1 },
  clip: { default: 1, minimum: 0, maximum: 1e6 },
};

describe('resolveHyperparameters', () => {
  it('takes defaults, then configured values, then hints', () => {
    expect(resolveHyperparameters(declared)).toEqual({ rate: 0.1, clip: 1 });
    expect(resolveHyperparameters(declared, { rate: 0.2 })).toEqual({ rate: 0.2, clip: 1 });
    expect(resolveHyperparameters(declared, { rate: 0.2 }, { rate: 0.3, clip: 0.5 })).toEqual({
      rate: 0.3,
      clip: 0.5,
    });
  });

  it('lets a hint move a value by a factor of 100 and within the bounds, not further', () => {
    const hinted = (rate: number, hint: number) =>
      resolveHyperparameters(declared, { rate }, { rate: hint }).rate;
    expect(hinted(0.001, 0.9)).toBeCloseTo(0.1, 12);
    expect(hinted(0.1, 1e-9)).toBeCloseTo(0.001, 12);
    expect(hinted(0.1, 5)).toBe(1);
    expect(hinted(1e-5, 1e-9)).toBe(1e-6);
    expect(resolveHyperparameters(declared, { clip: 0 }, { clip: 7 }).clip).toBe(0);
  });

  it('ignores hints that are no number or not of the learner', () => {
    for (const hint of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(resolveHyperparameters(declared, {}, { rate: hint }).rate).toBe(0.1);
    }
    expect(resolveHyperparameters(declared, {}, { momentum: 0.9 })).toEqual({ rate: 0.1, clip: 1 });
  });

  it('refuses configured values that are unknown or out of bounds', () => {
    const attempts: [string, Record<string, number>][] = [
      [
        'momentum: found a hyperparameter that the learner does not have, expected rate, clip',
        { momentum: 1 },
      ],
      ['toString: found a hyperparameter that the learner does not have', { toString: 1 }],
      ['rate: found 2, expected a number from 0.000001 to 1', { rate: 2 }],
      ['rate: found 0, expected', { rate: 0 }],
      ['rate: found NaN, expected', { rate: Number.NaN }],
    ];
    for (const [message, configured] of attempts) {
      expect(() => resolveHyperparameters(declared, configured)).toThrow(InvalidInputError);
      expect(() => resolveHyperparameters(declared, configured)).toThrow(message);
    }
    expect(resolveHyperparameters(declared, { rate: 1e-6, clip: 1e6 })).toEqual({ rate: 1e-6, clip: 1e6 });
  });
});
