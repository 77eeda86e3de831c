import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Basis, basisFromEmbeddings, createBasis, features } from '../../../shared/lora/basis.ts';
import {
  adoptBasis,
  type BayesianState,
  createBayesianState,
  solveWeights,
  train,
} from '../../../shared/lora/bayesian.ts';
import { type CarryOver, carryOversTo, fitCarryOver } from '../../../shared/lora/carry-over.ts';
import { userPart } from '../../../shared/lora/forward.ts';
import { knowsBasisOf } from '../../../shared/lora/learner.ts';
import { initialPrior, posteriorMean } from '../../../shared/lora/prior.ts';
import type { Random } from '../../../shared/lora/random.ts';
import { centred } from '../../../shared/lora/statistics.ts';
import { dot } from '../../../shared/lora/symmetric.ts';
import type { Model } from '../../../shared/lora/training.ts';
import { difference, identity, product, range, times, toRows, transpose, unpack } from './dense.ts';
import { arbitraryBasis, cases, createRandom, rewardsOf, vectorOf } from './fixtures.ts';

const seeds = fc.integer({ min: 0, max: 1e6 });
const rowsOf = (dense: number[][]) => dense.map((row) => Float64Array.from(row));

function modelOf(basis: Basis, carryOvers: readonly CarryOver[] = []): Model {
  return { basis, prior: initialPrior(basis.id, basis.projectionDim + 1), carryOvers };
}

/** A user with rewards and targets. */
function learned(random: Random, basis: Basis): BayesianState {
  const d = basis.embeddingDim;
  const target = { embedding: vectorOf(random, d), itemEffect: 0, target: vectorOf(random, d) };
  return train(createBayesianState(basis), modelOf(basis), [...rewardsOf(random, 12, d), target]).state;
}

/** A map with random numbers, except for the constant coordinate. */
function arbitraryMap(random: Random, rows: number, columns: number): Float64Array[] {
  return range(rows + 1).map((i) =>
    Float64Array.from({ length: columns + 1 }, (_, j) =>
      i === rows ? Number(j === columns) : random.normal(),
    ),
  );
}

/** Orthogonal, by Gram–Schmidt. */
function rotation(random: Random, size: number): number[][] {
  const rows: number[][] = [];
  while (rows.length < size) {
    let row = range(size).map(() => random.normal());
    for (const other of rows) {
      const share = dot(row, other);
      row = row.map((value, i) => value - share * other[i]!);
    }
    const length = Math.sqrt(dot(row, row));
    if (length > 0.1) rows.push(row.map((value) => value / length));
  }
  return rows;
}

describe('a state that is carried over', () => {
  it('stays the same, to the bit, when the basis does not change', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const random = createRandom(seed);
        const [from, to] = [arbitraryBasis(random), arbitraryBasis(random)];
        const state = learned(random, from);
        const same = {
          fromBasisId: from.id,
          featureMap: rowsOf(identity(4)),
          latentMap: rowsOf(identity(2)),
          loss: 0,
        };
        expect(adoptBasis(state, modelOf(to, [same]))).toEqual({ ...state, basisId: to.id });
      }),
      cases(50),
    );
  });

  it('has the same sums as if its interactions had been mapped one by one', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const random = createRandom(seed);
        const from = arbitraryBasis(random);
        const to = arbitraryBasis(random, { p: 6, r: 3 });
        const map = arbitraryMap(random, 6, 3);
        const latentMap = rowsOf(range(3).map(() => [random.normal(), random.normal()]));
        const state = learned(random, from);
        const carryOver = { fromBasisId: from.id, featureMap: map, latentMap, loss: 0.5 };
        const carried = adoptBasis(state, modelOf(to, [carryOver]));
        const t = map.map((row) => [...row]);
        const expected = product(product(t, unpack(state.statistics.gram, 4)), transpose(t));
        const lower = expected.flatMap((row, i) => row.slice(0, i + 1));
        expect(difference(carried.statistics.gram, lower)).toBeLessThan(1e-12);
        expect(difference(carried.statistics.moment, times(t, [...state.statistics.moment]))).toBeLessThan(
          1e-12,
        );
        const stz = product(toRows(state.targets!.stz, 2), transpose(latentMap.map((row) => [...row])));
        expect(difference(carried.targets!.stz, stz.flat())).toBeLessThan(1e-12);
        expect(carried.targets!.szz).toHaveLength(6);
        const { sumSquares, count, rewardSum } = state.statistics;
        expect(carried).toMatchObject({ record: state.record, statistics: { sumSquares, count, rewardSum } });
      }),
      cases(50),
    );
  });

  it('keeps the constant coordinate exactly, so that the mean reward may change later', () => {
    fc.assert(
      fc.property(seeds, fc.double({ min: 0, max: 1, noNaN: true }), (seed, meanReward) => {
        const random = createRandom(seed);
        const [from, to] = [arbitraryBasis(random), arbitraryBasis(random, { p: 5 })];
        const featureMap = arbitraryMap(random, 5, 3);
        const carryOver = { fromBasisId: from.id, featureMap, latentMap: rowsOf(identity(2)), loss: 0 };
        const { statistics } = learned(random, from);
        const carried = adoptBasis(learned(createRandom(seed), from), modelOf(to, [carryOver])).statistics;
        expect(carried.gram.at(-1)).toBe(carried.count);
        const state = adoptBasis({ ...createBayesianState(from), statistics }, modelOf(to, [carryOver]));
        expect(state.statistics.moment.at(-1)).toBe(statistics.moment.at(-1));
        const before = centred(statistics, meanReward);
        const after = centred(state.statistics, meanReward);
        const mapped = times(
          featureMap.map((row) => [...row]),
          [...before.moment],
        );
        expect(difference(after.moment, mapped)).toBeLessThan(1e-12);
        expect(after.sumSquares).toBe(before.sumSquares);
      }),
      cases(50),
    );
  });

  it('predicts the same when the new features are the old ones turned', () => {
    fc.assert(
      fc.property(seeds, (seed) => {
        const random = createRandom(seed);
        const from = arbitraryBasis(random);
        const turn = rotation(random, 3);
        const projection = Float32Array.from(product(toRows(from.projection, 3), transpose(turn)).flat());
        const to = createBasis({ ...from, projection });
        const featureMap = rowsOf([...turn.map((row) => [...row, 0]), [0, 0, 0, 1]]);
        const carryOver = { fromBasisId: from.id, featureMap, latentMap: rowsOf(identity(2)), loss: 0 };
        const state = learned(random, from);
        const carried = adoptBasis(state, modelOf(to, [carryOver]));
        const mean = posteriorMean(state.statistics, modelOf(from).prior);
        const turned = posteriorMean(carried.statistics, modelOf(to).prior);
        for (const { embedding } of rewardsOf(random, 5, 5)) {
          const [psi, turnedPsi] = [new Float64Array(4), new Float64Array(4)];
          features(from, embedding, psi);
          features(to, embedding, turnedPsi);
          expect(dot(turned, turnedPsi)).toBeCloseTo(dot(mean, psi), 4);
        }
      }),
      cases(50),
    );
  });

  it('continues learning, and is solved, under the new basis', () => {
    const random = createRandom('goes on');
    const [from, to] = [arbitraryBasis(random), arbitraryBasis(random, { p: 6 })];
    const items = range(60).map(() => vectorOf(random, 5));
    const model = modelOf(to, carryOversTo(to, { basis: from }, items));
    const state = learned(random, from);
    const event = rewardsOf(random, 3, 5);
    expect(train(state, model, event).state).toEqual(train(adoptBasis(state, model), model, event).state);
    expect(solveWeights(state, model)).toEqual(solveWeights(adoptBasis(state, model), model));
    expect(knowsBasisOf(model, state)).toBe(true);
    const stranger = createBayesianState(arbitraryBasis(random));
    expect(knowsBasisOf(model, stranger)).toBe(false);
    expect(() => adoptBasis(stranger, model)).toThrow('state.basisId');
  });
});

describe('the map between two bases', () => {
  const random = createRandom('items');
  const items = range(400).map(() => vectorOf(random, 8).with(0, 2));
  const options = { rank: 3, scalingFactor: 1 };
  const first = basisFromEmbeddings(items.slice(0, 60), { ...options, seed: 'first' });
  const second = basisFromEmbeddings(items, { ...options, seed: 'second' });
  const third = basisFromEmbeddings(items.slice(200), { ...options, seed: 'third' });

  it('loses nothing between equivalent bases', () => {
    const wide = arbitraryBasis(random, { d: 4, r: 2, p: 8 });
    const other = createBasis({ ...wide, projection: vectorOf(random, 64) });
    const few = range(200).map(() => vectorOf(random, 4));
    const { featureMap, loss } = fitCarryOver(wide, other, few);
    expect(loss).toBeLessThan(1e-6);
    const [psi, wanted] = [new Float64Array(9), new Float64Array(9)];
    const x = vectorOf(random, 4);
    features(wide, x, psi);
    features(other, x, wanted);
    expect(
      difference(
        featureMap.map((row) => dot(row, psi)),
        wanted,
      ),
    ).toBeLessThan(1e-3);
  });

  it('measures its loss on items that it was not fitted to', () => {
    const { loss, featureMap } = fitCarryOver(first, second, items);
    expect(loss).toBeGreaterThan(0.001);
    expect(loss).toBeLessThan(0.5);
    expect([...featureMap.at(-1)!]).toEqual([...new Float64Array(first.projectionDim), 1]);
    // A map fitted to fewer items than coefficients is perfect on these items alone.
    const few = items.slice(0, first.projectionDim - 5);
    expect(fitCarryOver(first, second, few).loss).toBeLessThan(0.1 * loss);
    const noise = arbitraryBasis(random, { d: 8, r: 1, p: 2 });
    const blind = createBasis({ ...noise, projection: new Float32Array(16) });
    expect(fitCarryOver(blind, second, items).loss).toBeGreaterThan(0.95);
  });

  it('measures the loss only on every fifth item, which the measured fit does not see', () => {
    const some = items.slice(0, 5 * first.projectionDim);
    const { featureMap } = fitCarryOver(
      first,
      second,
      some.filter((_, i) => i % 5 !== 0).slice(0, 4 * first.projectionDim),
    );
    const measured = some.filter((_, i) => i % 5 === 0);
    const wanted = measured.map((x) => featuresOf(second, x));
    const found = measured.map((x) => featureMap.map((row) => dot(row, featuresOf(first, x))));
    const mean = range(second.projectionDim).map(
      (i) => wanted.reduce((sum, psi) => sum + psi[i]!, 0) / wanted.length,
    );
    const squares = (value: (n: number, i: number) => number) =>
      wanted.reduce((sum, psi, n) => sum + mean.reduce((s, _, i) => s + (psi[i]! - value(n, i)) ** 2, 0), 0);
    const expected = squares((n, i) => found[n]![i]!) / squares((_, i) => mean[i]!);
    expect(fitCarryOver(first, second, some).loss).toBeCloseTo(expected, 10);
  });

  it('maps the latent space by the overlap of the two A, at the scale of each', () => {
    const from = arbitraryBasis(random, { d: 8, r: 2, scale: 0.5 });
    const to = arbitraryBasis(random, { d: 8, r: 3, scale: 0.75 });
    const { latentMap } = fitCarryOver(from, to, items);
    const expected = product(toRows(to.a, 8), transpose(toRows(from.a, 8))).flat();
    expect(
      difference(
        latentMap.flatMap((row) => [...row]),
        expected.map((value) => 1.5 * value),
      ),
    ).toBeLessThan(1e-12);
  });

  it('is composed for bases before the last, of which four are kept', () => {
    const one = carryOversTo(second, { basis: first }, items);
    const two = carryOversTo(third, { basis: second, carryOvers: one }, items);
    expect(two.map(({ fromBasisId }) => fromBasisId)).toEqual([second.id, first.id]);
    const direct = product(
      two[0]!.featureMap.map((row) => [...row]),
      one[0]!.featureMap.map((row) => [...row]),
    );
    expect(
      difference(
        two[1]!.featureMap.flatMap((row) => [...row]),
        direct.flat(),
      ),
    ).toBeLessThan(1e-12);
    expect(two[1]!.loss).toBeCloseTo(1 - (1 - one[0]!.loss) * (1 - two[0]!.loss), 12);
    expect([...two[1]!.featureMap.at(-1)!]).toEqual([...new Float64Array(first.projectionDim), 1]);

    const back = carryOversTo(first, { basis: third, carryOvers: two }, items);
    expect(back.map(({ fromBasisId }) => fromBasisId)).toEqual([third.id, second.id]);
    let carryOvers = back;
    for (const seed of ['a', 'b', 'c'])
      carryOvers = carryOversTo(first, { basis: { ...third, id: seed }, carryOvers }, items);
    expect(carryOvers.map(({ fromBasisId }) => fromBasisId)).toEqual(['c', 'b', 'a', third.id]);
    expect(carryOversTo(first, undefined, items)).toEqual([]);
  });

  it('preserves most of what a user taught', () => {
    const taste = vectorOf(random, 8);
    const event = items
      .slice(0, 80)
      .map((embedding) => ({ embedding, itemEffect: 0, reward: dot(embedding, taste) > 0 ? 1 : 0 }));
    const { state } = train(createBayesianState(first), modelOf(first), event);
    const carried = modelOf(second, carryOversTo(second, { basis: first }, items));
    const anew = train(createBayesianState(second), modelOf(second), event).state;
    const error = (s: BayesianState, model: Model) => {
      const lora = { basis: model.basis, ...solveWeights(s, model) };
      return items
        .slice(80)
        .reduce((sum, x) => sum + (userPart(lora, x) + 0.5 - Number(dot(x, taste) > 0)) ** 2, 0);
    };
    const [known, blank] = [
      error(anew, modelOf(second)),
      error(createBayesianState(second), modelOf(second)),
    ];
    expect(error(state, carried)).toBeLessThan(known + 0.1 * (blank - known));
  });

  it('refuses embeddings of another length than both bases have', () => {
    expect(() => fitCarryOver(first, second, [new Float32Array(8), vectorOf(random, 7)])).toThrow(
      'embeddings: found 0',
    );
    expect(() => fitCarryOver(arbitraryBasis(random), second, items)).toThrow('of bases of 5 and 8 numbers');
  });
});

function featuresOf(basis: Basis, x: Float32Array): Float64Array {
  const psi = new Float64Array(basis.projectionDim + 1);
  features(basis, x, psi);
  return psi;
}
