import { describe, expect, it } from 'vitest';
import { features } from '../../../shared/lora/basis.ts';
import { userPart } from '../../../shared/lora/forward.ts';
import {
  initialModel,
  isSolvedFor,
  LEARNER_NAMES,
  type LearnerState,
  learnerOf,
  userMeanAlone,
  warmStart,
} from '../../../shared/lora/learner.ts';
import type { PredictedReward } from '../../../shared/lora/prequential.ts';
import { dot } from '../../../shared/lora/symmetric.ts';
import { unpack } from './dense.ts';
import { arbitraryBasis, createRandom, rewardsOf } from './fixtures.ts';

const random = createRandom('learners');
const basis = arbitraryBasis(random, { d: 8, r: 2, p: 6, scale: 1 });
const shape = { embeddingDim: 8, rank: 2, scale: 1 };

describe.each(LEARNER_NAMES)('the learner %s', (name) => {
  const learner = learnerOf(name);

  it('names itself and its states', () => {
    expect(learner.name).toBe(name);
    expect(learner.create(initialModel(name, basis, {}), shape).learner).toBe(name);
  });

  it('declares hyperparameters whose defaults are within their bounds', () => {
    const declared = Object.values(learner.hyperparameters);
    expect(declared.length).toBeGreaterThan(0);
    for (const { default: value, minimum, maximum } of declared) {
      expect(value).toBeGreaterThan(minimum);
      expect(value).toBeLessThan(maximum);
    }
  });

  it('predicts by the adapter that it solves, and learns', () => {
    const model = initialModel(name, basis, {});
    const rewards = rewardsOf(random, 5, 8).map((r) => ({ ...r, itemEffect: 0, reward: 0.9 }));
    let state: LearnerState = learner.create(model, shape);
    for (let n = 0; n < 30; n++) state = learnerOf(state.learner).train(state, model, rewards).state;
    const adapter = learnerOf(state.learner).solve(state, model);
    const { predictions } = learnerOf(state.learner).train(state, model, rewards);
    for (const [i, { embedding }] of rewards.entries()) {
      expect(predictions[i]!.predicted).toBeCloseTo(0.5 + userPart(adapter, embedding), 5);
    }
    const loss = predictions.reduce((sum, p) => sum + (p.reward - p.predicted) ** 2, 0);
    expect(loss).toBeLessThan(0.05 * 5 * 0.4 ** 2);
  });

  it('predicts the parts of a long event with what the parts before them taught, as of events one by one', () => {
    const model = initialModel(name, basis, {});
    const rewards = rewardsOf(random, 40, 8);
    const initial: LearnerState = learner.create(model, shape);
    const whole = learnerOf(initial.learner).train(initial, model, rewards);
    let state: LearnerState = initial;
    const predictions: PredictedReward[] = [];
    for (let start = 0; start < 40; start += 5) {
      const part = learnerOf(state.learner).train(state, model, rewards.slice(start, start + 5));
      state = part.state;
      predictions.push(...part.predictions);
    }
    expect(whole.predictions).toEqual(predictions);
    expect(whole.state.record).toEqual(state.record);
    // Later parts know more than the first.
    expect(new Set(predictions.map((p) => p.predictedByUserMean)).size).toBe(8);
  });
});

describe('serving without the own adapter', () => {
  const mean = Float64Array.from({ length: 7 }, (_, i) => i / 10);
  const prior = { ...initialModel('bayesian', basis, {}, 0.6).prior, mean };

  it('is the mean of the prior as the warm start', () => {
    const x = rewardsOf(random, 1, 8)[0]!.embedding;
    const psi = new Float64Array(7);
    features(basis, x, psi);
    const adapter = warmStart({ basis, prior });
    expect(userPart(adapter, x)).toBeCloseTo(dot(psi, mean), 6);
    expect(adapter.basis).toBe(basis);
  });

  it.each(LEARNER_NAMES)("is the user's shrunken mean reward alone as the base (%s)", (name) => {
    const model = initialModel(name, basis, {}, 0.6);
    const event = rewardsOf(random, 5, 8).map((r) => ({ ...r, reward: 1 }));
    const state = learnerOf(name).train(learnerOf(name).create(model, shape), model, event).state;
    const adapter = userMeanAlone(state, model);
    expect(adapter).toMatchObject({ basis: null, b: new Float32Array(0) });
    expect(0.6 + adapter.offset).toBeCloseTo((5 + 20 * 0.6) / 25, 12);
  });
});

describe('isSolvedFor', () => {
  it('asks the Bayesian learner for its basis, and gradient descent for nothing', () => {
    const model = initialModel('bayesian', basis, {});
    const other = initialModel('bayesian', arbitraryBasis(random, { d: 8, p: 6 }), {});
    const nobody = initialModel('bayesian', null, {});
    const state = learnerOf('bayesian').create(model, shape);
    expect([model, other, nobody].map((m) => isSolvedFor(state, m))).toEqual([true, false, false]);
    expect(isSolvedFor(learnerOf('bayesian').create(nobody, shape), nobody)).toBe(true);
    expect(isSolvedFor(learnerOf('sgd').create(model, shape), other)).toBe(true);
  });
});

describe('initialModel', () => {
  it("makes the prior of the basis, with the learner's hyperparameters in it", () => {
    const scaled = arbitraryBasis(random, { scale: 2 });
    const model = initialModel('bayesian', scaled, { priorVariance: 100 }, 0.7);
    expect(model).toMatchObject({ basis: scaled, hyperparameters: { priorVariance: 100 } });
    expect(model.prior).toMatchObject({ basisId: scaled.id, meanReward: 0.7 });
    expect(unpack(model.prior.covariance, 4)[0]![0]).toBeCloseTo((100 * 0.04) / 64, 12);
    const nobody = initialModel('sgd', null, { learningRate: 0.3 });
    expect(nobody.prior).toMatchObject({ basisId: null, meanReward: 0.5 });
    expect(nobody.hyperparameters).toEqual({ learningRate: 0.3, gradientClipThreshold: 1, ewcLambda: 0.5 });
  });

  it('refuses hyperparameters of the other learner', () => {
    expect(() => initialModel('bayesian', null, { learningRate: 0.1 })).toThrow(
      'learningRate: found a hyperparameter',
    );
  });
});
