import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidInputError } from '../../../shared/errors.ts';
import { type Basis, createBasis, randomBasis } from '../../../shared/lora/basis.ts';
import {
  adoptBasis,
  type BayesianState,
  createBayesianState,
  solveWeights,
  train,
} from '../../../shared/lora/bayesian.ts';
import {
  initialPrior,
  initialPriorOf,
  type PreparedPrior,
  posteriorMean,
} from '../../../shared/lora/prior.ts';
import { dot } from '../../../shared/lora/symmetric.ts';
import type { Model, TrainingInteraction } from '../../../shared/lora/training.ts';
import { difference, invert, outer, pack, plus, range, times, toRows, unpack } from './dense.ts';
import { arbitraryBasis, arbitraryPrior, cases, createRandom, rewardsOf, vectorOf } from './fixtures.ts';

type Rewarded = TrainingInteraction & { readonly reward: number };

function trainAll(
  model: Model,
  events: readonly (readonly TrainingInteraction[])[],
  start?: BayesianState,
): BayesianState {
  return events.reduce(
    (state, event) => train(state, model, event).state,
    start ?? createBayesianState(model.basis),
  );
}

/** ψ by the definition: [Πᵀ·s·vec(x ⊗ Ax); 1] of x at unit length. */
function densePsi(basis: Basis, embedding: Float32Array): number[] {
  const length = Math.sqrt(dot(embedding, embedding));
  const x = [...embedding].map((value) => value / length);
  const z = times(toRows(basis.a, basis.embeddingDim), x);
  const phi = x.flatMap((xi) => z.map((zk) => basis.scale * xi * zk));
  const projection = toRows(basis.projection, basis.projectionDim);
  return [
    ...range(basis.projectionDim).map((j) =>
      dot(
        phi,
        projection.map((row) => row[j]!),
      ),
    ),
    1,
  ];
}

/** The posterior mean straight from raw interactions: no sums, no packing, Gauss–Jordan. */
function densePosterior(basis: Basis, prior: PreparedPrior, rewards: readonly Rewarded[]): number[] {
  const size = prior.mean.length;
  const precision = invert(unpack(prior.covariance, size)).inverse;
  let information = precision;
  let right = times(precision, [...prior.mean]);
  for (const { embedding, reward, itemEffect } of rewards) {
    const psi = densePsi(basis, embedding);
    const y = reward - itemEffect - prior.meanReward;
    information = plus(information, outer(psi, psi), 1 / prior.noiseVariance);
    right = right.map((value, i) => value + (psi[i]! * y) / prior.noiseVariance);
  }
  return times(invert(information).inverse, right);
}

function cut<T>(random: ReturnType<typeof createRandom>, items: readonly T[]): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; ) {
    const length = 1 + random.integer(4);
    parts.push(items.slice(at, at + length));
    at += length;
  }
  return parts;
}

describe('train', () => {
  it('learns the exact posterior, for every order and split of the events', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = createRandom(seed);
        const basis = arbitraryBasis(random);
        const prior = arbitraryPrior(random, basis.id, 4);
        const rewards = rewardsOf(random, 1 + random.integer(12), 5);
        const expected = densePosterior(basis, prior, rewards);
        const model = { basis, prior };
        const inOrder = trainAll(model, cut(random, rewards));
        const shuffled = trainAll(model, cut(random, random.shuffle([...rewards])));
        expect(difference(posteriorMean(inOrder.statistics, prior), expected)).toBeLessThan(1e-8);
        expect(difference(posteriorMean(shuffled.statistics, prior), expected)).toBeLessThan(1e-8);

        const { b, offset } = solveWeights(shuffled, model);
        const dense = times(toRows(basis.projection, 3), expected.slice(0, 3));
        expect(difference(b, dense)).toBeLessThan(1e-6);
        expect(offset).toBeCloseTo(expected[3]!, 8);
      }),
      cases(1000),
    );
  });

  it('sums to the same bytes for every split of events into updates', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = createRandom(seed);
        const basis = arbitraryBasis(random);
        const model = { basis, prior: arbitraryPrior(random, basis.id, 4) };
        const rewards = rewardsOf(random, 12, 5);
        const one = trainAll(model, [rewards]);
        const many = trainAll(model, cut(random, rewards));
        expect(many.statistics).toEqual(one.statistics);
      }),
    );
  });

  it('predicts all rewards of an event before it learns any', () => {
    const random = createRandom('predict');
    const basis = arbitraryBasis(random);
    const prior = arbitraryPrior(random, basis.id, 4);
    const model = { basis, prior };
    const before = rewardsOf(random, 6, 5);
    const event = rewardsOf(random, 3, 5);
    const state = trainAll(model, [before]);
    const mean = densePosterior(basis, prior, before);
    const { predictions, state: after } = train(state, model, event);
    const userMean = (before.reduce((sum, { reward }) => sum + reward, 0) + 20 * prior.meanReward) / 26;
    expect(predictions).toHaveLength(3);
    for (const [i, { embedding, reward, itemEffect }] of event.entries()) {
      const psi = densePsi(basis, embedding);
      const expected = prior.meanReward + dot(psi, mean);
      expect(predictions[i]!.reward).toBe(reward);
      expect(predictions[i]!.predicted).toBeCloseTo(expected + itemEffect, 8);
      expect(predictions[i]!.predictedByUserMean).toBeCloseTo(userMean, 12);
      expect(predictions[i]!.predictedByWarmStart).toBeCloseTo(
        prior.meanReward + itemEffect + dot(psi, prior.mean),
        8,
      );
      expect(predictions[i]!.itemResidual).toBeCloseTo(reward - expected, 8);
    }
    expect(after.record.count).toBe(9);
    const loss = predictions.reduce(
      (sum, p) => sum + (p.reward - p.predicted) ** 2,
      state.record.adapterLoss,
    );
    expect(after.record.adapterLoss).toBeCloseTo(loss, 12);
  });

  it('starts from nothing', () => {
    const basis = arbitraryBasis(createRandom(1));
    const state = createBayesianState(basis);
    expect(state).toMatchObject({ learner: 'bayesian', basisId: basis.id, targets: null, buffered: [] });
    const event = rewardsOf(createRandom(2), 2, 5);
    expect(train(state, { basis, prior: initialPrior(basis.id, 4) }, event).state.buffered).toEqual([]);
    expect(state.statistics.moment).toHaveLength(4);
    const model = { basis, prior: initialPrior(basis.id, 4) };
    expect(solveWeights(state, model)).toEqual({ b: new Float32Array(10), offset: 0 });
    expect(train(state, model, []).state).toEqual(state);
  });

  it('never changes the state that it is given', () => {
    const random = createRandom('frozen');
    const basis = arbitraryBasis(random);
    const model = { basis, prior: initialPrior(basis.id, 4) };
    const target = { embedding: vectorOf(random, 5), itemEffect: 0, target: vectorOf(random, 5) };
    const state = trainAll(model, [rewardsOf(random, 3, 5), [target]]);
    const copy = structuredClone(state);
    train(state, model, [...rewardsOf(random, 3, 5), target]);
    solveWeights(state, model);
    expect(state).toEqual(copy);
  });

  it('refuses bad input and a model of another basis, leaving the state as it was', () => {
    const random = createRandom('refuse');
    const basis = arbitraryBasis(random);
    const model = { basis, prior: initialPrior(basis.id, 4) };
    const [good] = rewardsOf(random, 1, 5) as [Rewarded];
    const state = trainAll(model, [[good]]);
    const copy = structuredClone(state);
    const refused: [string, () => unknown][] = [
      ['interactions[1].reward: found 1.5', () => train(state, model, [good, { ...good, reward: 1.5 }])],
      [
        'interactions[0].embedding: found 4 numbers, expected 5 numbers',
        () => train(state, model, [{ ...good, embedding: new Float32Array(4) }]),
      ],
      [
        'model.prior.basisId: found null, expected',
        () => train(state, { basis, prior: initialPrior(null, 4) }, [good]),
      ],
      [
        'model.prior.basisId: found null, expected',
        () => solveWeights(state, { basis, prior: initialPrior(null, 4) }),
      ],
      ['state.basisId: found ', () => solveWeights(state, { basis: null, prior: initialPrior(null, 1) })],
      ['state.basisId: found ', () => train(state, otherModel(random), [good])],
    ];
    for (const [message, attempt] of refused) {
      expect(attempt).toThrow(InvalidInputError);
      expect(attempt).toThrow(message);
    }
    expect(state).toEqual(copy);
  });

  function otherModel(random: ReturnType<typeof createRandom>): Model {
    const basis = arbitraryBasis(random);
    return { basis, prior: initialPrior(basis.id, 4) };
  }
});

describe('without a basis', () => {
  const nobody: Model = { basis: null, prior: initialPrior(null, 1) };
  const random = createRandom('waiting');

  it('predicts by offset and item effects, and buffers interactions', () => {
    const rewards = rewardsOf(random, 4, 5);
    const state = trainAll(nobody, [rewards]);
    const y = rewards.map(({ reward, itemEffect }) => reward - itemEffect - 0.5);
    const offset = y.reduce((sum, value) => sum + value, 0) / 0.04 / (1 / 0.02 + 4 / 0.04);
    expect(solveWeights(state, nobody).offset).toBeCloseTo(offset, 12);
    expect(solveWeights(state, nobody).b).toHaveLength(0);
    expect(state.buffered).toHaveLength(4);
    const [prediction] = train(state, nobody, rewards.slice(0, 1)).predictions;
    expect(prediction!.predicted).toBeCloseTo(0.5 + offset + rewards[0]!.itemEffect, 12);
  });

  it('keeps the last 200, at unit length, in float16', () => {
    const rewards = rewardsOf(random, 230, 5);
    const state = trainAll(nobody, [rewards.slice(0, 150), rewards.slice(150)]);
    expect(state.buffered).toHaveLength(200);
    expect(state.statistics.count).toBe(230);
    for (const [i, buffered] of state.buffered.entries()) {
      const { embedding, reward, itemEffect } = rewards[30 + i]!;
      const length = Math.sqrt(dot(embedding, embedding));
      expect(buffered.embedding).toBeInstanceOf(Float16Array);
      expect(
        difference(
          buffered.embedding,
          embedding.map((value) => value / length),
        ),
      ).toBeLessThan(5e-4);
      expect(buffered).toMatchObject({ reward, residualReward: reward - itemEffect });
    }
  });

  it('learns buffered interactions when the basis comes', () => {
    const basis = arbitraryBasis(random);
    const model = { basis, prior: initialPrior(basis.id, 4) };
    const rewards = rewardsOf(random, 8, 5);
    const targets = range(3).map(() => ({
      embedding: vectorOf(random, 5),
      itemEffect: 0,
      target: vectorOf(random, 5),
    }));
    const waited = trainAll(nobody, [rewards, targets]);
    expect(waited.buffered).toHaveLength(11);
    const adopted = adoptBasis(waited, model);
    const direct = trainAll(model, [rewards, targets]);
    expect(adopted).toMatchObject({ basisId: basis.id, buffered: [], record: waited.record });
    expect(difference(adopted.statistics.gram, direct.statistics.gram)).toBeLessThan(2e-3);
    expect(difference(adopted.statistics.moment, direct.statistics.moment)).toBeLessThan(2e-3);
    expect(adopted.statistics.count).toBe(8);
    expect(adopted.statistics.rewardSum).toBeCloseTo(direct.statistics.rewardSum, 12);
    expect(adopted.statistics.sumSquares).toBeCloseTo(direct.statistics.sumSquares, 12);
    expect(adopted.targets!.count).toBe(3);
    expect(difference(adopted.targets!.stz, direct.targets!.stz)).toBeLessThan(2e-3);
    expect(solveWeights(waited, model)).toEqual(solveWeights(adopted, model));
    expect(train(waited, model, rewards).state).toEqual(train(adopted, model, rewards).state);
    expect(adoptBasis(adopted, model)).toBe(adopted);
  });

  it('keeps zero vectors as zero, and refuses embeddings of two dimensions', () => {
    const zero = { embedding: new Float32Array(5), itemEffect: 0, reward: 1 };
    const state = train(createBayesianState(null), nobody, [zero]).state;
    expect([...state.buffered[0]!.embedding]).toEqual([0, 0, 0, 0, 0]);
    const wider = { ...zero, embedding: new Float32Array(6) };
    expect(() => train(state, nobody, [wider])).toThrow(
      'interactions[0].embedding: found 6 numbers, expected 5',
    );
    expect(() => train(createBayesianState(null), nobody, [zero, wider])).toThrow(
      'interactions[1].embedding',
    );
    const basis = arbitraryBasis(random, { d: 6 });
    const model = { basis, prior: initialPrior(basis.id, 4) };
    expect(() => adoptBasis(state, model)).toThrow(
      'state.buffered: found embeddings of 5 numbers, expected embeddings of 6',
    );
  });
});

describe('rewards and targets together', () => {
  const random = createRandom('both');
  const basis = arbitraryBasis(random, { d: 6, r: 2, p: 4 });
  const model = { basis, prior: initialPrior(basis.id, 5) };
  const targets = range(5).map(() => ({
    embedding: vectorOf(random, 6),
    itemEffect: 0,
    target: vectorOf(random, 6),
  }));

  it('leave to the rewards only what the targets do not explain', () => {
    const taught = trainAll(model, [targets]);
    const c = toRows(solveWeights(taught, model).b, 2);
    const [item] = rewardsOf(random, 1, 6) as [Rewarded];
    const { state, predictions } = train(taught, model, [item]);
    const x = [...item.embedding];
    const share = (basis.scale * dot(x, times(c, times(toRows(basis.a, 6), x)))) / dot(x, x);
    expect(Math.abs(share)).toBeGreaterThan(0.01);
    expect(predictions[0]!.predicted).toBeCloseTo(0.5 + share + item.itemEffect, 5);
    expect(predictions[0]!.itemResidual).toBeCloseTo(item.reward - 0.5 - share, 5);
    const y = item.reward - item.itemEffect - share;
    expect(state.statistics.sumSquares).toBeCloseTo(y * y, 5);
    const zero = { embedding: new Float32Array(6), itemEffect: 0.1, reward: 0.7 };
    expect(train(taught, model, [zero]).predictions[0]!.predicted).toBeCloseTo(0.6, 12);
  });

  it('add up in B', () => {
    const rewards = rewardsOf(random, 6, 6);
    const onlyTargets = solveWeights(trainAll(model, [targets]), model).b;
    const onlyRewards = solveWeights(trainAll(model, [rewards]), model).b;
    const both = solveWeights(trainAll(model, [rewards, targets]), model).b;
    expect(
      difference(
        both,
        onlyRewards.map((value, i) => value + onlyTargets[i]!),
      ),
    ).toBeLessThan(1e-6);
    expect(train(createBayesianState(basis), model, targets).predictions).toEqual([]);
  });
});

describe('numbers at the edge', () => {
  it.each([2 ** -149, 1e-20, 1e20, 3e38])('learn the same from items of length %d', (length) => {
    const basis = randomBasis(16, { rank: 2, scalingFactor: 2, seed: 1 });
    const model = { basis, prior: initialPrior(basis.id, basis.projectionDim + 1) };
    const at = (scale: number) => [
      {
        embedding: Float32Array.from({ length: 16 }, (_, i) => (i === 3 ? scale : 0)),
        itemEffect: 0,
        reward: 0.9,
      },
      {
        embedding: Float32Array.from({ length: 16 }, (_, i) => (i === 7 ? -scale : 0)),
        itemEffect: 0,
        reward: 0.2,
      },
    ];
    const unit = solveWeights(trainAll(model, [at(1)]), model);
    const found = solveWeights(trainAll(model, [at(length)]), model);
    expect(difference(found.b, unit.b)).toBeLessThan(1e-6);
    expect(difference(found.b, new Float32Array(32))).toBeGreaterThan(1e-3);
  });

  it('do not depend on the scaling factor', () => {
    const random = createRandom('scale');
    const one = arbitraryBasis(random, { scale: 1 });
    const rewards = rewardsOf(random, 6, 5);
    const targets = range(3).map(() => ({
      embedding: vectorOf(random, 5),
      itemEffect: 0,
      target: vectorOf(random, 5),
    }));
    const product = (scale: number) => {
      const basis = createBasis({ ...one, scale });
      const model = { basis, prior: initialPriorOf(basis) };
      return solveWeights(trainAll(model, [targets, rewards]), model).b.map((value) => scale * value);
    };
    for (const scale of [0.01, 0.25, 100]) expect(difference(product(scale), product(1))).toBeLessThan(1e-5);
  });

  it('sum alike in packed and dense form', () => {
    const random = createRandom('packed');
    const basis = arbitraryBasis(random);
    const rewards = rewardsOf(random, 5, 5);
    const state = trainAll({ basis, prior: initialPrior(basis.id, 4) }, [rewards]);
    const gram = rewards
      .map(({ embedding }) => densePsi(basis, embedding))
      .map((psi) => outer(psi, psi))
      .reduce((p, q) => plus(p, q));
    expect(difference(state.statistics.gram, pack(gram))).toBeLessThan(1e-12);
  });
});
