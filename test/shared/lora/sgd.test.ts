import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../shared/errors.ts';
import { forward, userPart } from '../../../shared/lora/forward.ts';
import { initialPrior } from '../../../shared/lora/prior.ts';
import { createSgdState, type SgdState, sgdStateFrom, solveSgd, trainSgd } from '../../../shared/lora/sgd.ts';
import type { Model, TrainingInteraction } from '../../../shared/lora/training.ts';
import { difference, range } from './dense.ts';
import { arbitraryBasis, createRandom, rewardsOf, vectorOf } from './fixtures.ts';

const shape = { embeddingDim: 16, rank: 4, scale: 1 };
const model: Model = { basis: null, prior: initialPrior(null, 1, { meanReward: 0.6 }) };
const withRate = (learningRate: number, more: Record<string, number> = {}): Model => ({
  ...model,
  hyperparameters: { learningRate, ...more },
});
const axis = (i: number, length = 1) => Float32Array.from({ length: 16 }, (_, k) => (k === i ? length : 0));
const liked = (embedding: Float32Array, reward: number) => ({ embedding, itemEffect: 0, reward });

function trainTimes(
  state: SgdState,
  times: number,
  event: readonly TrainingInteraction[],
  with_: Model = model,
): SgdState {
  return range(times).reduce((current) => trainSgd(current, with_, event).state, state);
}

describe('createSgdState', () => {
  it('starts all users from the same Xavier-uniform A and a zero B', () => {
    const state = createSgdState(model, shape);
    expect(createSgdState(model, shape)).toEqual(state);
    const limit = Math.sqrt(6 / 20);
    expect(state.a.values.every((value) => Math.abs(value) <= limit)).toBe(true);
    expect(Math.max(...state.a.values.map(Math.abs))).toBeGreaterThan(0.9 * limit);
    expect(Math.min(...state.a.values)).toBeLessThan(-0.9 * limit);
    expect([...state.b.values]).toEqual(new Array(64).fill(0));
    expect(state).toMatchObject({ learner: 'sgd', ...shape, steps: 0, count: 0, rewardSum: 0 });
    expect(createSgdState(model, { ...shape, rank: 2 }).a.values[0]).not.toBe(state.a.values[0]);
  });

  it('takes A from the basis when there is one', () => {
    const basis = arbitraryBasis(createRandom(1));
    const prior = initialPrior(basis.id, 4);
    const state = createSgdState({ basis, prior }, { embeddingDim: 5, rank: 2, scale: 0.7 });
    expect(state.a.values).toBe(basis.a);
  });
});

describe('trainSgd', () => {
  it('moves rewards of items towards what the user gave, relative to the user', () => {
    const event = [liked(axis(0), 1), liked(axis(1), 0)];
    const state = trainTimes(createSgdState(model, shape), 400, event, withRate(0.5, { ewcLambda: 0 }));
    const adapter = solveSgd(state, model);
    expect(0.6 + userPart(adapter, axis(0))).toBeCloseTo(1, 1);
    expect(0.6 + userPart(adapter, axis(1))).toBeCloseTo(0, 1);
    expect(state).toMatchObject({ steps: 400, count: 800, rewardSum: 400 });
  });

  it('moves items to their targets', () => {
    const target = vectorOf(createRandom('t'), 16, 0.3);
    const event = [{ embedding: axis(0, 2), itemEffect: 0, target }];
    const state = trainTimes(createSgdState(model, shape), 600, event, withRate(0.5, { ewcLambda: 0 }));
    expect(difference(forward(solveSgd(state, model), axis(0, 2)), target)).toBeLessThan(0.01);
    expect(state).toMatchObject({ count: 0, steps: 600 });
    expect(trainSgd(state, model, event).predictions).toEqual([]);
  });

  it('takes each item of an event with its own target', () => {
    const start = createSgdState(model, shape);
    const event = [3, 5].map((i) => ({ embedding: axis(i, 2), itemEffect: 0, target: axis(i + 1) }));
    const { state } = trainSgd(start, withRate(0.1), event);
    // B is zero, so e = x − t at unit length, and by s·B the step is −η·mean(e·zᵀ).
    const expected = range(64).map((at) => {
      const [i, k] = [Math.floor(at / 4), at % 4];
      const steps = event.map(({ embedding, target }) => {
        const column = embedding.indexOf(2);
        return ((embedding[i]! - target[i]!) / 2) * start.a.values[k * 16 + column]!;
      });
      return -0.1 * ((steps[0]! + steps[1]!) / 2);
    });
    expect(difference(state.b.values, expected)).toBeLessThan(1e-7);
  });

  it('takes the first step of the closed form', () => {
    // A sees the first axis only; B is zero, so ∂A is zero, and by s·B it is e·z with e = −x(r −
    // m_u).
    const a = axis(0);
    const start = sgdStateFrom({ embeddingDim: 16, rank: 1, scale: 0.5, a }, new Float32Array(16));
    const { state } = trainSgd(start, withRate(0.1), [
      { embedding: axis(0, 3), itemEffect: 0.05, reward: 0.9 },
    ]);
    expect(state.a.values).toEqual(a);
    expect(difference(state.b.values, axis(0, (0.1 / 0.5) * (0.9 - 0.05 - 0.6)))).toBeLessThan(1e-7);
  });

  it('predicts before it learns, with item effect and shrunken mean', () => {
    const start = trainTimes(createSgdState(model, shape), 5, [liked(axis(0), 1)], withRate(0.5));
    const { predictions, state } = trainSgd(start, model, [{ ...liked(axis(0), 0.7), itemEffect: 0.1 }]);
    const userMean = (5 + 20 * 0.6) / 25;
    const expected = userMean + userPart({ ...solveSgd(start, model), offset: 0 }, axis(0));
    expect(expected).toBeGreaterThan(userMean + 0.01);
    const [prediction] = predictions;
    expect(prediction).toMatchObject({ reward: 0.7, predictedByWarmStart: 0.7 });
    expect(prediction!.predicted).toBeCloseTo(expected + 0.1, 10);
    expect(prediction!.predictedByUserMean).toBeCloseTo(userMean, 12);
    expect(prediction!.itemResidual).toBeCloseTo(0.7 - expected, 10);
    expect(state.record).toMatchObject({ count: 6 });
  });

  it('never steps further than rate × clip threshold', () => {
    const far = [{ embedding: axis(0), itemEffect: 0, target: axis(1, 60_000) }];
    const start = createSgdState(model, shape);
    const moved = (with_: Model) => {
      const { a, b } = trainSgd(start, with_, far).state;
      return Math.hypot(
        ...a.values.map((value, i) => value - start.a.values[i]!),
        ...b.values.map((value, i) => value - start.b.values[i]!),
      );
    };
    expect(moved(withRate(0.2))).toBeCloseTo(0.2, 5);
    expect(moved(withRate(0.2, { gradientClipThreshold: 5 }))).toBeCloseTo(1, 4);
    // Short gradients keep their length.
    const short = trainSgd(start, withRate(0.2), [liked(axis(0), 0.65)]).state.b.values;
    const unclipped = trainSgd(start, withRate(0.2, { gradientClipThreshold: 100 }), [liked(axis(0), 0.65)])
      .state.b.values;
    expect(short).toEqual(unclipped);
  });

  it('learns the same function at every scaling factor', () => {
    const random = createRandom('scales');
    const event = rewardsOf(random, 6, 16);
    const learned = (scale: number) => {
      const { a, b } = trainTimes(createSgdState(model, { ...shape, scale }), 30, event);
      return [...a.values, ...b.values.map((value) => scale * value)];
    };
    for (const scale of [0.01, 0.25, 100]) expect(difference(learned(scale), learned(1))).toBeLessThan(1e-4);
  });

  it('lowers the training loss', () => {
    const random = createRandom('descent');
    const event = rewardsOf(random, 10, 16);
    let state = createSgdState(model, shape);
    const lossOf = (s: SgdState) =>
      trainSgd(s, model, event).predictions.reduce((sum, p) => sum + (p.reward - p.predicted) ** 2, 0);
    const before = lossOf(state);
    state = trainTimes(state, 200, event, withRate(0.3));
    expect(lossOf(state)).toBeLessThan(0.6 * before);
  });

  it('stays closer to important earlier parameters with stronger EWC', () => {
    const random = createRandom('first');
    const first = rewardsOf(random, 10, 16);
    const learned = trainTimes(createSgdState(model, shape), 20, first, withRate(0.3));
    const importance = learned.b.fisher;
    const moved = [0, 100, 1000, 10_000].map((ewcLambda) => {
      const later = trainTimes(
        learned,
        10,
        rewardsOf(createRandom('then'), 10, 16),
        withRate(0.3, { ewcLambda }),
      );
      return later.b.values.reduce(
        (sum, value, i) => sum + importance[i]! * (value - learned.b.values[i]!) ** 2,
        0,
      );
    });
    expect(moved).toEqual([...moved].sort((x, y) => y - x));
    expect(moved[3]).toBeLessThan(0.1 * moved[0]!);
  });

  it('moves the anchor to the parameters every twenty steps', () => {
    const start = createSgdState(model, shape);
    const nineteen = trainTimes(start, 19, [liked(axis(0), 1)]);
    expect(nineteen.b.anchor).toBe(start.b.anchor);
    const twenty = trainTimes(nineteen, 1, [liked(axis(0), 1)]);
    expect(twenty.b.anchor).toBe(twenty.b.values);
    expect(twenty.a.anchor).toBe(twenty.a.values);
    expect(trainTimes(twenty, 1, [liked(axis(0), 1)]).b.anchor).toBe(twenty.b.values);
    // No pull without Fisher information, and learned items keep zero loss.
    expect(twenty.b.fisher.some((value) => value > 0)).toBe(true);
  });

  it('learns nothing from zero vectors but their reward', () => {
    const start = createSgdState(model, shape);
    const { state, predictions } = trainSgd(start, model, [liked(new Float32Array(16), 1)]);
    expect(state).toMatchObject({ a: start.a, b: start.b, steps: 0, count: 1, rewardSum: 1 });
    expect(predictions[0]!.predicted).toBeCloseTo(0.6, 12);
    const mixed = trainSgd(start, model, [liked(new Float32Array(16), 1), liked(axis(0), 1)]).state;
    expect(mixed.b).toEqual(trainSgd(start, model, [liked(axis(0), 1)]).state.b);
  });

  it('learns the same from items of any length, down to denormal numbers', () => {
    const start = createSgdState(model, shape);
    const b = (length: number) => trainSgd(start, model, [liked(axis(3, length), 1)]).state.b.values;
    for (const length of [2 ** -149, 1e-20, 1e20, 3e38])
      expect(difference(b(length), b(1))).toBeLessThan(1e-9);
  });

  it('refuses bad input, bad hyperparameters and steps out of float32, leaving the state as it was', () => {
    const start = trainTimes(createSgdState(model, shape), 3, [liked(axis(0), 1)]);
    const copy = structuredClone(start);
    const refused: [string, () => unknown][] = [
      ['interactions[0].reward: found 2', () => trainSgd(start, model, [liked(axis(0), 2)])],
      [
        'interactions[0].embedding: found 5 numbers, expected 16',
        () => trainSgd(start, model, [liked(new Float32Array(5), 1)]),
      ],
      [
        'learningRate: found 11, expected a number from 0.000001 to 10',
        () => trainSgd(start, withRate(11), [liked(axis(0), 1)]),
      ],
      [
        'state: found a gradient that is not finite, expected finite parameters',
        () =>
          trainSgd(
            sgdStateFrom({ ...shape, a: new Float32Array(64).fill(Number.NaN) }, start.b.values),
            model,
            [liked(axis(0), 1)],
          ),
      ],
      [
        'priorVariance: found a hyperparameter that the learner does not have',
        () => trainSgd(start, { ...model, hyperparameters: { priorVariance: 1 } }, [liked(axis(0), 1)]),
      ],
    ];
    for (const [message, attempt] of refused) {
      expect(attempt).toThrow(InvalidInputError);
      expect(attempt).toThrow(message);
    }
    expect(start).toEqual(copy);
  });
});
