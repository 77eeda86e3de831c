import { describe, expect, it } from 'vitest';
import { createAdapterFeedback, interactionsOf, lossOf } from '../../../shared/engine/feedback.ts';
import { InvalidInputError } from '../../../shared/errors.ts';

const x = Float32Array.of(3, 4);

describe('createAdapterFeedback', () => {
  it.each([
    [{ completionRate: 1 }, 0.5],
    [{ completionRate: 0.5, rating: 5 }, 0.55],
    [{ completionRate: 1, rating: 5, isRewatch: true }, 1],
    [{ completionRate: 0, isRewatch: true }, 0.2],
    [{ completionRate: 0, rating: undefined, isRewatch: false }, 0],
  ])('makes of %j a reward of %d', (watchEvent, reward) => {
    const feedback = createAdapterFeedback(watchEvent, x);
    expect(feedback.reward).toBeCloseTo(reward, 12);
    expect(feedback).toMatchObject({ contentEmbedding: x, targetEmbedding: undefined, watchEvent });
    expect(Math.abs(feedback.timestamp.getTime() - Date.now())).toBeLessThan(60_000);
  });

  it('keeps the target', () => {
    expect(createAdapterFeedback({ completionRate: 1 }, x, x).targetEmbedding).toBe(x);
  });

  it.each<[string, { completionRate: number; rating?: number }]>([
    ['watchEvent.completionRate: found 1.1, expected a number from 0 to 1', { completionRate: 1.1 }],
    ['watchEvent.completionRate: found nothing, expected', {} as never],
    ['watchEvent.rating: found 6, expected a number from 0 to 5', { completionRate: 1, rating: 6 }],
    ['watchEvent.rating: found NaN, expected', { completionRate: 1, rating: Number.NaN }],
  ])('refuses: %s', (message, watchEvent) => {
    expect(() => createAdapterFeedback(watchEvent, x)).toThrow(InvalidInputError);
    expect(() => createAdapterFeedback(watchEvent, x)).toThrow(message);
  });
});

describe('lossOf', () => {
  const adapter = {
    basis: { embeddingDim: 2, rank: 1, scale: 1, a: Float32Array.of(1, 0) },
    b: Float32Array.of(1, 0),
    offset: 0.1,
  };

  it('is squared error of rewards, and squared distance of targets relative to the item', () => {
    const [rewarded] = interactionsOf([{ contentEmbedding: x, reward: 1 }], 2);
    // The share is 9/25, so 0.5 + 0.36 + 0.1 is predicted.
    expect(lossOf(adapter, [rewarded!], 0.5)).toBeCloseTo(0.04 ** 2, 12);
    expect(lossOf(null, [rewarded!], 0.5)).toBeCloseTo(0.25, 12);
    const [aimed] = interactionsOf(
      [{ contentEmbedding: x, targetEmbedding: Float32Array.of(6, 9), reward: 0 }],
      2,
    );
    expect(lossOf(adapter, [aimed!], 0.5)).toBeCloseTo(25 / 25, 12);
    expect(lossOf(null, [aimed!], 0.5)).toBeCloseTo((9 + 25) / 25, 12);
    expect(lossOf(null, [rewarded!, aimed!], 0.5)).toBeCloseTo((0.25 + 34 / 25) / 2, 12);
  });

  it('ignores the target of a zero vector', () => {
    const zero = { contentEmbedding: new Float32Array(2), targetEmbedding: x, reward: 0 };
    expect(lossOf(adapter, interactionsOf([zero], 2), 0.5)).toBe(0);
  });
});
