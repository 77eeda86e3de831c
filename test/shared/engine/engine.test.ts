import { describe, expect, it } from 'vitest';
import type { UserLoRAAdapter } from '../../../shared/engine/adapter.ts';
import type { LoRAConfig } from '../../../shared/engine/config.ts';
import { createLoRAPersonalizationEngine, LoRAPersonalizationEngine } from '../../../shared/engine/engine.ts';
import { lossOf } from '../../../shared/engine/feedback.ts';
import { InvalidInputError } from '../../../shared/errors.ts';
import { randomBasis } from '../../../shared/lora/basis.ts';
import { createRandom, embeddingOf, feedbackOf } from './fixtures.ts';

const now = () => new Date('2026-01-31T12:00:00Z');
const engineOf = (config: LoRAConfig = {}) => createLoRAPersonalizationEngine({ now, ...config });
const random = createRandom('engine');

function share(adapter: UserLoRAAdapter, x: Float32Array): number {
  const y = engineOf().computeLoRAForward(x, adapter);
  const dot = (p: Float32Array, q: Float32Array) => p.reduce((sum, value, i) => sum + value * q[i]!, 0);
  return dot(x, y) / dot(x, x) - 1;
}

describe('an engine', () => {
  it('has the documented defaults', () => {
    const engine = createLoRAPersonalizationEngine();
    expect(engine).toBeInstanceOf(LoRAPersonalizationEngine);
    expect(engine.getConfig()).toMatchObject({
      rank: 4,
      embeddingDim: 64,
      scalingFactor: 1,
      learner: 'bayesian',
      learningRate: 1,
      useEWC: true,
      ewcLambda: 0.5,
      gradientClipThreshold: 1,
      priorVariance: 10,
      meanReward: 0.5,
      enableReasoningBankCache: true,
      reasoningBank: undefined,
    });
    const told = {
      rank: 8,
      embeddingDim: 128,
      scalingFactor: 2,
      learner: 'sgd',
      learningRate: 0.01,
    } as const;
    expect(engineOf(told).getConfig()).toMatchObject(told);
  });

  it.each<[string, LoRAConfig]>([
    ['rank: found 0, expected an integer from 1 to 64', { rank: 0 }],
    ['rank: found 65, expected an integer from 1 to 64', { rank: 65 }],
    ['embeddingDim: found 15, expected an integer from 16 to 4096', { embeddingDim: 15 }],
    ['embeddingDim: found 64.5, expected an integer', { embeddingDim: 64.5 }],
    [
      "rank: found rank × embeddingDim of 16640, expected at most 16384 for the learner 'bayesian'",
      { rank: 5, embeddingDim: 3328 },
    ],
    ['scalingFactor: found 0, expected a number from 0.001 to 1024', { scalingFactor: 0 }],
    ['learner: found "adam", expected bayesian or sgd', { learner: 'adam' as 'sgd' }],
    ['learningRate: found 11, expected a number from 0.000001 to 10', { learningRate: 11 }],
    ['ewcLambda: found -1, expected a number from 0 to 1000000', { ewcLambda: -1 }],
    ['gradientClipThreshold: found 0, expected', { gradientClipThreshold: 0 }],
    ['priorVariance: found NaN, expected', { priorVariance: Number.NaN }],
    ['meanReward: found 1.1, expected a number from 0 to 1', { meanReward: 1.1 }],
    [
      'basis: found dimension 32, rank 4, scale 0.25, expected dimension 64, rank 4, scale 0.25',
      { basis: randomBasis(32, { rank: 4, scalingFactor: 1, seed: 1 }) },
    ],
    [
      'catalogue: found dimension 32, rank 4, scale 0.25, expected dimension 64',
      { catalogue: [embeddingOf(random, 32)] },
    ],
    ['reasoningBank.storePattern: found nothing, expected a function', { reasoningBank: {} as never }],
  ])('refuses: %s', (message, config) => {
    expect(() => engineOf(config)).toThrow(InvalidInputError);
    expect(() => engineOf(config)).toThrow(message);
  });

  it('takes every size within its limits', () => {
    for (const [rank, embeddingDim] of [
      [1, 16],
      [64, 16],
      [64, 256],
      [4, 4096],
    ] as const) {
      const adapter = engineOf({ rank, embeddingDim }).createAdapter('user');
      expect(adapter.matrixA).toHaveLength(rank * embeddingDim);
    }
    const wide = engineOf({ rank: 64, embeddingDim: 4096, learner: 'sgd' });
    expect(wide.createAdapter('user').matrixA).toHaveLength(262_144);
    expect(wide.getConfig().basis).toBeNull();
  });

  it('makes its basis of a catalogue, takes a given one, or a seeded random one', () => {
    const catalogue = Array.from({ length: 20 }, () => embeddingOf(random));
    const basisOf = (config: LoRAConfig) => engineOf(config).getConfig().basis!;
    const basis = basisOf({ catalogue });
    expect(basisOf({ catalogue })).toEqual(basis);
    expect(basisOf({ basis })).toBe(basis);
    expect(basisOf({})).toEqual(basisOf({}));
    expect(basisOf({ seed: 1 }).id).not.toBe(basisOf({}).id);
    expect(basisOf({ learner: 'sgd', catalogue })).toEqual(basis);
  });
});

describe('createAdapter', () => {
  it('gives an adapter of the documented shape, which changes nothing yet', () => {
    const engine = engineOf();
    const adapter = engine.createAdapter('user');
    expect(adapter).toMatchObject({
      userId: 'user',
      rank: 4,
      embeddingDim: 64,
      scalingFactor: 1,
      version: 1,
      createdAt: now(),
      updatedAt: now(),
      fisherInformation: undefined,
      metadata: {
        totalSamples: 0,
        avgLoss: 0,
        learningRate: 1,
        lastTrainedAt: now(),
        performance: { avgInferenceMs: 0, sizeBytes: 2048 },
      },
    });
    expect(adapter.matrixA).toHaveLength(256);
    expect(adapter.matrixB).toEqual(new Float32Array(256));
    const x = embeddingOf(random);
    expect(engine.computeLoRAForward(x, adapter)).toEqual(x);
  });

  it('has Fisher information of A and B under sgd with EWC, none without', () => {
    expect(engineOf({ learner: 'sgd' }).createAdapter('u').fisherInformation).toEqual(new Float32Array(512));
    expect(engineOf({ learner: 'sgd', useEWC: false }).createAdapter('u').fisherInformation).toBeUndefined();
  });

  it.each(['bayesian', 'sgd'] as const)(
    'learns the preferences of a new user like a liked item (%s)',
    (learner) => {
      const engine = engineOf({ learner });
      const vector = embeddingOf(random);
      const adapter = engine.createAdapter('user', { vector: [...vector] });
      expect(adapter).toMatchObject({ version: 1, metadata: { totalSamples: 0 } });
      expect(share(adapter, vector)).toBeGreaterThan(0);
      expect(engine.createAdapter('user', {}).matrixB).toEqual(new Float32Array(256));
    },
  );

  it('refuses invalid user ids and preferences', () => {
    for (const id of ['', 'x'.repeat(129), 'a\u0000', 7 as never])
      expect(() => engineOf().createAdapter(id)).toThrow(/^userId: found/);
    expect(() => engineOf().createAdapter('u', { vector: [1, 2] })).toThrow(
      'interactions[0].embedding: found 2 numbers, expected 64',
    );
  });
});

describe('computeLoRAForward and batchComputeLoRAForward', () => {
  it('refuse another dimension, and adapters with matrices of another size', async () => {
    const engine = engineOf();
    const adapter = engine.createAdapter('user');
    expect(() => engine.computeLoRAForward(new Float32Array(32), adapter)).toThrow(
      'embedding: found 32 numbers, expected 64 numbers',
    );
    expect(() =>
      engine.batchComputeLoRAForward([new Float32Array(64), new Float32Array(1)], adapter),
    ).toThrow('embeddings[1]');
    const broken = { ...adapter, matrixB: new Float32Array(3) };
    expect(() => engine.computeLoRAForward(new Float32Array(64), broken)).toThrow(
      'adapter: found A of 256 and B of 3 numbers',
    );
  });

  it('agree with each other and with x + (scalingFactor/rank)·B·A·x, and change no adapter', async () => {
    const engine = engineOf({ scalingFactor: 3 });
    const adapter = await engine.updateAdapter(engine.createAdapter('user'), feedbackOf(random, 8));
    const copy = structuredClone(adapter);
    const xs = [embeddingOf(random), embeddingOf(random), embeddingOf(random)];
    const batch = engine.batchComputeLoRAForward(xs, adapter);
    for (const [n, x] of xs.entries()) {
      const z = Array.from({ length: 4 }, (_, k) =>
        x.reduce((sum, xi, i) => sum + adapter.matrixA[k * 64 + i]! * xi, 0),
      );
      const y = x.map(
        (xi, i) => xi + 0.75 * z.reduce((sum, zk, k) => sum + adapter.matrixB[i * 4 + k]! * zk, 0),
      );
      const found = engine.computeLoRAForward(x, adapter);
      for (const i of y.keys()) {
        expect(found[i]).toBeCloseTo(y[i]!, 5);
        expect(batch[n]![i]).toBeCloseTo(y[i]!, 5);
      }
      expect(Math.max(...found.map((value, i) => Math.abs(value - x[i]!)))).toBeGreaterThan(1e-4);
    }
    expect(structuredClone(adapter)).toEqual(copy);
    expect(engine.batchComputeLoRAForward([], adapter)).toEqual([]);
  });
});

describe.each(['bayesian', 'sgd'] as const)('updateAdapter (%s)', (learner) => {
  const engine = engineOf({ learner });

  it('gives a new adapter of the next version, and leaves the old one alone', async () => {
    const adapter = engine.createAdapter('user');
    const copy = structuredClone(adapter);
    const updated = await engine.updateAdapter(adapter, feedbackOf(random, 5));
    expect(updated).toMatchObject({ userId: 'user', version: 2, metadata: { totalSamples: 5 } });
    expect(updated.matrixB).not.toEqual(adapter.matrixB);
    expect(structuredClone(adapter)).toEqual(copy);
    expect(updated.metadata.avgLoss).toBeGreaterThan(0);
    expect(updated.metadata.performance.avgInferenceMs).toBeGreaterThan(0);
    if (learner === 'sgd') {
      expect(updated.fisherInformation!.some((value) => value > 0)).toBe(true);
      expect(updated.fisherInformation).toHaveLength(512);
    } else expect(updated.fisherInformation).toBeUndefined();
  });

  it('returns the same adapter without feedback', async () => {
    const adapter = engine.createAdapter('user');
    expect(await engine.updateAdapter(adapter, [])).toBe(adapter);
  });

  it('raises liked items, lowers disliked ones, and reduces its loss', async () => {
    const [good, bad] = [embeddingOf(random), embeddingOf(random)];
    const feedback = [
      { contentEmbedding: good, reward: 1 },
      { contentEmbedding: bad, reward: 0 },
    ];
    let adapter = await engine.updateAdapter(engine.createAdapter('user'), feedback);
    const first = adapter.metadata.avgLoss;
    for (let n = 0; n < 40; n++) adapter = await engine.updateAdapter(adapter, feedback);
    expect(share(adapter, good)).toBeGreaterThan(0.1);
    expect(share(adapter, bad)).toBeLessThan(-0.1);
    expect(adapter.metadata.avgLoss).toBeLessThan(0.8 * first);
  });

  it('moves embeddings to their targets', async () => {
    const catalogue = Array.from({ length: 4 }, () => embeddingOf(random));
    const seeing = engineOf({ learner, catalogue });
    const x = catalogue[0]!;
    const target = x.map((value) => 1.5 * value);
    const feedback = [{ contentEmbedding: x, targetEmbedding: target, reward: 0 }];
    let adapter = seeing.createAdapter('user');
    for (let n = 0; n < 60; n++) adapter = await seeing.updateAdapter(adapter, feedback);
    expect(share(adapter, x)).toBeGreaterThan(0.2);
    expect(adapter.metadata.totalSamples).toBe(60);
  });

  it('refuses malformed feedback, changing nothing', async () => {
    const adapter = engine.createAdapter('user');
    const copy = structuredClone(adapter);
    const x = embeddingOf(random);
    const refused: [
      string,
      { contentEmbedding: Float32Array; reward: number; targetEmbedding?: Float32Array },
    ][] = [
      [
        'interactions[1].embedding: found a number that is not finite',
        { contentEmbedding: x.map((v, i) => (i === 3 ? Number.NaN : v)), reward: 1 },
      ],
      [
        'interactions[1].target: found 3 numbers, expected 64 numbers',
        { contentEmbedding: x, targetEmbedding: new Float32Array(3), reward: 1 },
      ],
      ['interactions[1].reward: found 1.5', { contentEmbedding: x, reward: 1.5 }],
      ['feedback[1].contentEmbedding: found "nothing"', { contentEmbedding: 'nothing' as never, reward: 1 }],
    ];
    for (const [message, feedback] of refused) {
      await expect(
        engine.updateAdapter(adapter, [{ contentEmbedding: x, reward: 1 }, feedback]),
      ).rejects.toThrow(message);
    }
    expect(structuredClone(adapter)).toEqual(copy);
  });

  it('learns the same from the same feedback for every user', async () => {
    const feedback = feedbackOf(random, 5);
    const [one, two] = await Promise.all(
      [engine, engineOf({ learner })].map((e) => e.updateAdapter(e.createAdapter('user'), feedback)),
    );
    expect(one!.matrixB).toEqual(two!.matrixB);
    expect(one!.state).toEqual(two!.state);
  });
});

describe('updateAdapter', () => {
  it('continues with gradient descent from the matrices of an adapter without a state', async () => {
    const engine = engineOf();
    const { state: _, ...bare } = await engine.updateAdapter(
      engine.createAdapter('user'),
      feedbackOf(random, 5),
    );
    const updated = await engine.updateAdapter(bare, feedbackOf(random, 5));
    expect(updated.state?.learner).toBe('sgd');
    expect(updated.version).toBe(3);
    const moved = Math.hypot(...updated.matrixB.map((value, i) => value - bare.matrixB[i]!));
    expect(moved).toBeGreaterThan(0);
    expect(moved).toBeLessThanOrEqual(4 + 1e-5);
    const wrong = { ...bare, fisherInformation: new Float32Array(3) };
    await expect(engine.updateAdapter(wrong, feedbackOf(random, 1))).rejects.toThrow(
      'adapter.fisherInformation: found 3 numbers, expected 512',
    );
    const kept = { ...bare, fisherInformation: Float32Array.from({ length: 512 }, (_, i) => i) };
    const { state } = await engine.updateAdapter(kept, feedbackOf(random, 1));
    expect(state).toMatchObject({ learner: 'sgd' });
    expect(engine.serializeAdapter(kept)).not.toEqual(engine.serializeAdapter(bare));
  });

  it('refuses an adapter of another basis', async () => {
    const other = engineOf({ seed: 'other' }).createAdapter('user');
    await expect(engineOf().updateAdapter(other, feedbackOf(random, 1))).rejects.toThrow(
      /^state.basisId: found/,
    );
  });

  it('does not consolidate weights when EWC is off', async () => {
    const feedback = feedbackOf(random, 4);
    const run = async (config: LoRAConfig) => {
      const engine = engineOf({ learner: 'sgd', learningRate: 0.5, ...config });
      let adapter = engine.createAdapter('user');
      for (let n = 0; n < 30; n++) adapter = await engine.updateAdapter(adapter, feedback);
      return adapter.matrixB;
    };
    expect(await run({ useEWC: false, ewcLambda: 1e5 })).toEqual(await run({ ewcLambda: 0 }));
    expect(await run({ ewcLambda: 1e5 })).not.toEqual(await run({ ewcLambda: 0 }));
  });

  it('smooths its loss, measured after the step', async () => {
    const engine = engineOf();
    const feedback = feedbackOf(random, 3);
    const first = await engine.updateAdapter(engine.createAdapter('user'), feedback);
    const interactions = feedback.map(({ contentEmbedding, reward }) => ({
      embedding: contentEmbedding,
      itemEffect: 0,
      reward,
    }));
    const lossUnder = (adapter: UserLoRAAdapter) =>
      lossOf(
        {
          basis: { ...adapter, scale: 0.25, a: adapter.matrixA },
          b: adapter.matrixB,
          offset: adapter.offset!,
        },
        interactions,
        0.5,
      );
    expect(first.metadata.avgLoss).toBeCloseTo(lossUnder(first), 12);
    const second = await engine.updateAdapter(first, feedback);
    expect(second.metadata.avgLoss).toBeCloseTo(0.9 * first.metadata.avgLoss + 0.1 * lossUnder(second), 12);
  });
});

describe('mergeAdapters', () => {
  const engine = engineOf();

  it('gives the mean function, as user merged at version 1', async () => {
    const x = embeddingOf(random);
    const one = await engine.updateAdapter(engine.createAdapter('one'), [{ contentEmbedding: x, reward: 1 }]);
    const two = await engine.updateAdapter(engine.createAdapter('two'), [
      { contentEmbedding: x, reward: 0 },
      { contentEmbedding: x, reward: 0 },
    ]);
    const merged = engine.mergeAdapters([one, two], [3, 1]);
    expect(merged).toMatchObject({
      userId: 'merged',
      version: 1,
      rank: 4,
      scalingFactor: 1,
      metadata: { totalSamples: 3, performance: { sizeBytes: 2048 } },
    });
    expect(share(merged, x)).toBeCloseTo(0.75 * share(one, x) + 0.25 * share(two, x), 5);
    expect(merged.offset).toBeCloseTo(0.75 * one.offset! + 0.25 * two.offset!, 12);
    expect(merged.metadata.avgLoss).toBeCloseTo((one.metadata.avgLoss + two.metadata.avgLoss) / 2, 12);
    const learned = await engine.updateAdapter(merged, [{ contentEmbedding: x, reward: 1 }]);
    expect(learned).toMatchObject({ userId: 'merged', version: 2, state: { learner: 'sgd' } });
  });

  it('is the same function for (A, B) and (−A, −B)', async () => {
    const adapter = await engine.updateAdapter(engine.createAdapter('one'), feedbackOf(random, 6));
    const negated = {
      ...adapter,
      matrixA: adapter.matrixA.map((v) => -v),
      matrixB: adapter.matrixB.map((v) => -v),
    };
    const x = embeddingOf(random);
    expect(share(engine.mergeAdapters([adapter, negated]), x)).toBeCloseTo(share(adapter, x), 6);
  });

  it('refuses nothing to merge, and weights that cancel', () => {
    const adapter = engine.createAdapter('one');
    expect(() => engine.mergeAdapters([])).toThrow('adapters: found none');
    expect(() => engine.mergeAdapters([adapter, adapter], [1, -1])).toThrow('weights[1]: found -1');
    expect(() => engine.mergeAdapters([adapter, engineOf({ rank: 8 }).createAdapter('other')])).toThrow(
      'adapters[1]',
    );
  });
});
