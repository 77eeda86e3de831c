import { describe, expect, it } from 'vitest';
import { readPatterns, similarAdaptation } from '../../../shared/reasoning-bank/recalled-pattern.ts';

describe('the adaptation that a pattern describes', () => {
  const adaptation = (pattern: object) => readPatterns([pattern]).map(similarAdaptation)[0];

  it('is read from the texts that other banks keep', () => {
    const pattern = {
      task: 'lora_adaptation_user_u_1_rank_8_samples_20',
      reward: 0.9,
      input: '{"rank":8,"learningRate":0.01}',
      output: '{"avgLoss":0.12}',
    };
    expect(adaptation(pattern)).toEqual({
      userId: 'u_1',
      rank: 8,
      avgLoss: 0.12,
      reward: 0.9,
      learningRate: 0.01,
    });
  });

  it('is read from typed fields first', () => {
    const pattern = {
      task: 'adapt',
      reward: 0.6,
      userKey: 'abc',
      context: { rank: 4 },
      hyperparameters: { learningRate: 0.05 },
      outcome: { loss: 0.03 },
      output: '{"avgLoss":9}',
    };
    expect(adaptation(pattern)).toEqual({
      userId: 'abc',
      rank: 4,
      avgLoss: 0.03,
      reward: 0.6,
      learningRate: 0.05,
    });
  });

  it('has null for missing fields of a pattern', () => {
    const pattern = {
      task: 'lora_adaptation_user_a_rank_x',
      userId: 'a',
      reward: 0.5,
      input: '{broken',
      output: '[1]',
    };
    expect(adaptation(pattern)).toEqual({
      userId: 'a',
      rank: null,
      avgLoss: null,
      reward: 0.5,
      learningRate: null,
    });
  });

  it('is undefined when the pattern names no user', () => {
    expect(adaptation({ task: 'bake bread', reward: 0.5 })).toBeUndefined();
  });
});
