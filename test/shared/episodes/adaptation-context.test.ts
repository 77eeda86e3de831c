import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  contextDistance,
  contextOf,
  queryOf,
  taskOf,
  userOfTask,
} from '../../../shared/episodes/adaptation-context.ts';

describe('the context in a text', () => {
  it('is read from a task with any user id', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.string({ minLength: 1 }), fc.constant('a_rank_7_samples_9')),
        fc.integer({ min: 1, max: 64 }),
        fc.nat(),
        (user, rank, samplesSeen) => {
          const task = taskOf(user, rank, samplesSeen);
          expect(userOfTask(task)).toBe(user);
          expect(contextOf(task)).toEqual({ rank, samplesSeen });
        },
      ),
      { numRuns: 1000 },
    );
  });

  it.each([
    [
      'learner=sgd rank=8 dim=128 samples=16 batch=5 loss=0.02',
      { learner: 'sgd', rank: 8, embeddingDim: 128, samplesSeen: 16, batchSize: 5, loss: 0.02 },
    ],
    ['an adapter of Rank 8, embedding dimension 64', { rank: 8, embeddingDim: 64 }],
    ['total_samples: 1e3', { samplesSeen: 1000 }],
    ['rank 0 batch 0 samples 0', { samplesSeen: 0 }],
    ['frank 8, rank 8.5.1, dimly 4', {}],
    ['how to bake bread', {}],
  ])('is read from %j', (text, context) => {
    expect(contextOf(text)).toEqual(context);
  });

  it('is the same query for adapters in similar states, and names no user', () => {
    const context = { learner: 'sgd', rank: 4, embeddingDim: 64, samplesSeen: 20, batchSize: 5, loss: 0.03 };
    expect(queryOf(context)).toBe(queryOf({ ...context, samplesSeen: 30, loss: 0.02 }));
    const others = [
      { rank: 8 },
      { embeddingDim: 128 },
      { learner: 'bayesian' },
      { samplesSeen: 40 },
      { batchSize: 9 },
    ];
    for (const other of others) expect(queryOf({ ...context, ...other })).not.toBe(queryOf(context));
    expect(contextOf(queryOf(context))).toEqual({ ...context, samplesSeen: 16, batchSize: 4, loss: 2 ** -6 });
    expect(contextOf(queryOf({ ...context, loss: 1e-9 })).loss).toBeCloseTo(1e-9, 9);
  });
});

describe('the distance of contexts', () => {
  it('is 0 for equal contexts, symmetric, and depends on ratios', () => {
    expect(contextDistance({ rank: 4, samplesSeen: 10 }, { rank: 4, loss: 0.1 })).toBe(0);
    expect(contextDistance({ rank: 4 }, { rank: 8 })).toBe(1);
    expect(contextDistance({ rank: 16 }, { rank: 4 })).toBe(2);
    expect(contextDistance({ samplesSeen: 0 }, { samplesSeen: 3 })).toBe(1);
    expect(contextDistance({ learner: 'sgd' }, { learner: 'bayesian' })).toBeGreaterThan(2);
  });
});
