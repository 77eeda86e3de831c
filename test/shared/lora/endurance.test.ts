import { describe, expect, it } from 'vitest';
import { createBasis } from '../../../shared/lora/basis.ts';
import { createBayesianState, solveWeights, train } from '../../../shared/lora/bayesian.ts';
import { initialPrior } from '../../../shared/lora/prior.ts';
import { createSgdState, trainSgd } from '../../../shared/lora/sgd.ts';
import type { Model, TrainingInteraction } from '../../../shared/lora/training.ts';
import { createRandom, rewardsOf, vectorOf } from './fixtures.ts';

describe('20,000 updates', () => {
  it('of the Bayesian learner, on one pair, on zero vectors and on random data, leave all numbers finite', () => {
    const random = createRandom('long');
    const basis = createBasis({
      embeddingDim: 16,
      rank: 2,
      scale: 1024,
      a: vectorOf(random, 32),
      projection: vectorOf(random, 64),
    });
    const model = { basis, prior: initialPrior(basis.id, 3, { relativeVariance: 1000 }) };
    const pair = { embedding: vectorOf(random, 16), itemEffect: 0 };
    const streams: ((n: number) => TrainingInteraction[])[] = [
      (n) => [{ ...pair, reward: n % 2 }],
      () => [{ embedding: new Float32Array(16), itemEffect: 0, reward: 1 }],
      () => rewardsOf(random, 1, 16),
      () => [{ ...pair, target: pair.embedding.map((value) => -65_000 * value) }],
    ];
    for (const stream of streams) {
      let state = createBayesianState(basis);
      for (let n = 0; n < 20_000; n++) state = train(state, model, stream(n)).state;
      const { b, offset } = solveWeights(state, model);
      expect(b.every(Number.isFinite) && Number.isFinite(offset)).toBe(true);
      expect(Object.values(state.record).every(Number.isFinite)).toBe(true);
    }
  });

  it('of gradient descent at the largest steps, on the same data, leave all numbers finite', () => {
    const random = createRandom('long');
    const model: Model = {
      basis: null,
      prior: initialPrior(null, 1),
      hyperparameters: { learningRate: 10, gradientClipThreshold: 100, ewcLambda: 1e6 },
    };
    const pair = vectorOf(random, 16);
    const streams: ((n: number) => TrainingInteraction[])[] = [
      (n) => [
        {
          embedding: pair,
          itemEffect: 0,
          target: pair.map((value) => (n % 2 === 0 ? -1 : 1) * 60_000 * value),
        },
      ],
      () => [{ embedding: pair, itemEffect: 0, reward: 1 }],
      () => [{ embedding: new Float32Array(16), itemEffect: 0, reward: 1 }],
      () => rewardsOf(random, 1, 16),
    ];
    for (const stream of streams) {
      let state = createSgdState(model, { embeddingDim: 16, rank: 4, scale: 1024 });
      for (let n = 0; n < 20_000; n++) state = trainSgd(state, model, stream(n)).state;
      for (const { values, anchor, fisher } of [state.a, state.b]) {
        expect([values, anchor, fisher].every((numbers) => numbers.every(Number.isFinite))).toBe(true);
      }
      expect(Object.values(state.record).every(Number.isFinite)).toBe(true);
    }
  });
});
