import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../shared/errors.ts';
import { checkInteractions, type TrainingInteraction } from '../../../shared/lora/training.ts';

const embedding = Float32Array.of(3, 4);
const good = { embedding, itemEffect: 0, reward: 0.5 };

describe('checkInteractions', () => {
  it.each<[string, TrainingInteraction]>([
    [
      'interactions[1].embedding: found 3 numbers, expected 2 numbers',
      { ...good, embedding: new Float32Array(3) },
    ],
    [
      'interactions[1].embedding: found a number that is not finite, expected finite numbers',
      { ...good, embedding: Float32Array.of(0, Number.NaN) },
    ],
    [
      'interactions[1].embedding: found a number that is not finite',
      { ...good, embedding: Float32Array.of(Number.POSITIVE_INFINITY, 0) },
    ],
    ['interactions[1].itemEffect: found NaN, expected a finite number', { ...good, itemEffect: Number.NaN }],
    ['interactions[1].reward: found 1.5, expected a number from 0 to 1', { ...good, reward: 1.5 }],
    ['interactions[1].reward: found -0.1, expected a number from 0 to 1', { ...good, reward: -0.1 }],
    ['interactions[1].reward: found NaN, expected a number from 0 to 1', { ...good, reward: Number.NaN }],
    [
      'interactions[1].target: found 1 numbers, expected 2 numbers',
      { embedding, itemEffect: 0, target: new Float32Array(1) },
    ],
    [
      'interactions[1].target: found a number that is not finite',
      { embedding, itemEffect: 0, target: Float32Array.of(Number.NaN, 0) },
    ],
    [
      'interactions[1].target: found a vector 1.0e+5 times as long as its item, expected at most 65504 times',
      { embedding, itemEffect: 0, target: Float32Array.of(5e5, 0) },
    ],
  ])('refuses: %s', (message, interaction) => {
    expect(() => checkInteractions([good, interaction], 2)).toThrow(InvalidInputError);
    expect(() => checkInteractions([good, interaction], 2)).toThrow(message);
  });

  it('takes the extremes', () => {
    const fine: TrainingInteraction[] = [
      { ...good, reward: 0 },
      { ...good, reward: 1 },
      { ...good, embedding: new Float32Array(2) },
      { ...good, embedding: Float32Array.of(3.4e38, -3.4e38) },
      { embedding, itemEffect: 0, target: Float32Array.of(5 * 65_504, 0) },
      { embedding: new Float32Array(2), itemEffect: 0, target: Float32Array.of(1e9, 0) },
    ];
    expect(() => checkInteractions(fine, 2)).not.toThrow();
  });
});
