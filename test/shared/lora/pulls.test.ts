import { expect, test } from 'vitest';
import { basisFromEmbeddings, coefficientCount, features } from '../../../shared/lora/basis.ts';
import { createBayesianState, solveCoefficients, solvePulls, train } from '../../../shared/lora/bayesian.ts';
import { fitChoicePrior, initialChoicePrior, prepareChoice } from '../../../shared/lora/choice.ts';
import { initialPriorOf, preparePrior } from '../../../shared/lora/prior.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { dot } from '../../../shared/lora/symmetric.ts';
import type { Model } from '../../../shared/lora/training.ts';

const random = createRandom('pulls');
const embeddings = Array.from({ length: 60 }, () => Float32Array.from({ length: 12 }, () => random.normal()));
const basis = basisFromEmbeddings(embeddings, { rank: 3, scalingFactor: 3, seed: 1 });
const size = coefficientCount(basis);
const psiOf = (x: Float32Array) => {
  const psi = new Float64Array(size);
  features(basis, x, psi);
  return psi;
};
const initial = initialPriorOf(basis, { meanReward: 0.7 });
const prior = preparePrior({ ...initial, mean: initial.mean.map(() => 0.1 * random.normal()) });
const tempering = { perPick: 0.4, saturation: 0.05 };
const start = initialChoicePrior(basis.moments!, 3);
const users = [
  {
    count: 5,
    weight: 5,
    sum: psiOf(embeddings[3]!)
      .subarray(0, -1)
      .map((value) => 5 * value),
  },
];
const fitted = fitChoicePrior(users, basis.moments!, { base: start, tempering, steps: 2 });
const models: [string, Model][] = [
  ['rewards', { basis, prior }],
  ['picks', { basis, prior, choice: prepareChoice(fitted, basis.moments!, tempering) }],
  [
    'ratings read as picks',
    {
      basis,
      prior,
      choice: prepareChoice(fitted, basis.moments!, tempering, { mean: 0.6, deviation: 0.3 }),
    },
  ],
];
const interactions = embeddings.slice(0, 20).map((embedding, i) => ({
  embedding,
  reward: (i % 5) / 4,
  itemEffect: 0.05 * (i % 3),
}));

test.each(models)(
  'the prior and the pulls of all past rewards are the user’s part of a score: %s',
  (_, model) => {
    const { state } = train(createBayesianState(basis), model, interactions);
    const pulls = solvePulls(state, model)!;
    const m = solveCoefficients(state, model)!;
    for (const item of embeddings.slice(30, 40)) {
      const psi = psiOf(item);
      const { prior: before, of } = pulls(psi);
      const all = interactions.map(({ embedding, reward, itemEffect }) =>
        of({ psi: psiOf(embedding), count: 1, rewards: reward, effects: itemEffect }),
      );
      expect(all.reduce((sum, pull) => sum + pull, before)).toBeCloseTo(dot(psi, m), 10);
      expect(Math.max(...all.map(Math.abs))).toBeGreaterThan(1e-3);
    }
  },
);

test('two rewards of an item pull as their sums do', () => {
  const model = models[0]![1];
  const { state } = train(createBayesianState(basis), model, interactions);
  const { of } = solvePulls(state, model)!(psiOf(embeddings[50]!));
  const past = { psi: psiOf(embeddings[1]!), effects: 0.1 };
  const apart = of({ ...past, count: 1, rewards: 0.25 }) + of({ ...past, count: 1, rewards: 1 });
  expect(of({ ...past, count: 2, rewards: 1.25, effects: 0.2 })).toBeCloseTo(apart, 12);
});

test('another reward moves a score by what the pull of it changes', () => {
  const model = models[0]![1];
  const score = (reward: number) => {
    const changed = interactions.map((interaction, i) =>
      i === 7 ? { ...interaction, reward } : interaction,
    );
    const { state } = train(createBayesianState(basis), model, changed);
    const psi = psiOf(embeddings[44]!);
    const { of } = solvePulls(state, model)!(psi);
    const pull = of({ psi: psiOf(embeddings[7]!), count: 1, rewards: reward, effects: 0.05 });
    return { score: dot(psi, solveCoefficients(state, model)!), pull };
  };
  const [low, high] = [score(0), score(1)];
  expect(high.score - low.score).toBeCloseTo(high.pull - low.pull, 10);
  expect(Math.abs(high.pull - low.pull)).toBeGreaterThan(1e-3);
});

test('a user with target embeddings has no pulls', () => {
  const model = models[0]![1];
  const [first, second] = embeddings;
  const { state } = train(createBayesianState(basis), model, [
    { embedding: first!, target: second!, itemEffect: 0 },
  ]);
  expect(solvePulls(state, model)).toBeNull();
});
