import { describe, expect, it } from 'vitest';
import type { LoRAConfig } from '../../../shared/engine/config.ts';
import { createLoRAPersonalizationEngine } from '../../../shared/engine/engine.ts';
import { InvalidInputError, UnavailableError } from '../../../shared/errors.ts';
import { createRandom, embeddingOf, feedbackOf, ScriptedBank } from './fixtures.ts';

const random = createRandom('bank');
const feedback = feedbackOf(random, 5);

function connected(config: LoRAConfig = {}) {
  const bank = new ScriptedBank();
  const degradations: string[] = [];
  const engine = createLoRAPersonalizationEngine({
    learner: 'sgd',
    reasoningBank: bank,
    sessionId: 'session',
    bankConnection: {
      guard: { readDeadlineMs: 40, writeDeadlineMs: 40 },
      onDegraded: ({ operation }) => degradations.push(operation),
    },
    ...config,
  });
  return { bank, engine, degradations };
}

describe('connecting', () => {
  it('can be done late, swapped and undone', () => {
    const engine = createLoRAPersonalizationEngine({ sessionId: 'session' });
    expect(engine.hasReasoningBank()).toBe(false);
    expect(engine.getReasoningBankStats()).toEqual({
      enabled: false,
      sessionId: 'session',
      cacheSize: 0,
      cacheHitRate: 0,
      breaker: 'closed',
      pending: 0,
      dropped: 0,
    });
    const [one, two] = [new ScriptedBank(), new ScriptedBank()];
    engine.connectReasoningBank(one);
    expect(engine.hasReasoningBank()).toBe(true);
    expect(engine.getConfig().reasoningBank).toBe(one);
    engine.connectReasoningBank(two);
    expect(engine.getConfig().reasoningBank).toBe(two);
    expect(engine.getReasoningBankStats().enabled).toBe(true);
    engine.disconnectReasoningBank();
    expect(engine.hasReasoningBank()).toBe(false);
    expect(() => engine.connectReasoningBank({} as never)).toThrow(InvalidInputError);
    expect(createLoRAPersonalizationEngine().getReasoningBankStats().sessionId).toMatch(
      /^lora-engine-[0-9a-f-]{36}$/,
    );
  });
});

describe('an update with a bank', () => {
  it('asks for advice from similar contexts, successes with a reward of at least 0.7', async () => {
    const { bank, engine } = connected();
    await engine.updateAdapter(engine.createAdapter('alice'), feedback);
    expect(bank.queries).toEqual([[bank.tasks[0], { k: 5, minReward: 0.7, onlySuccesses: true }]]);
    expect(bank.tasks[0]).toContain('rank=4');
    expect(bank.tasks[0]).not.toContain('alice');
  });

  it('stores an episode: task, context, outcome before the step, and the learned hyperparameters', async () => {
    const { bank, engine } = connected();
    const first = await engine.updateAdapter(engine.createAdapter('alice'), feedback);
    await engine.updateAdapter(first, feedback);
    const [one, two] = bank.stored;
    expect(one).toMatchObject({
      sessionId: 'session',
      task: 'lora_adaptation_user_alice_rank_4_samples_0',
      userId: 'alice',
      version: 2,
      context: { learner: 'sgd', rank: 4, embeddingDim: 64, samplesSeen: 0, batchSize: 5 },
      hyperparameters: { learningRate: 1, gradientClipThreshold: 1, ewcLambda: 0.5 },
      success: false,
      reward: 0.7,
    });
    expect(two).toMatchObject({ task: 'lora_adaptation_user_alice_rank_4_samples_5', version: 3 });
    // Before the first step there is no adapter, so the outcome is that of the user's mean.
    const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
    const loss = mean(feedback.map(({ reward }) => (reward - 0.5) ** 2));
    expect(one!.outcome!.loss).toBeCloseTo(loss, 10);
    expect(one!.outcome!.lossWithoutAdapter).toBeCloseTo(loss, 10);
    expect(one!.outcome).toMatchObject({
      rewards: 5,
      meanReward: mean(feedback.map(({ reward }) => reward)),
    });
    // The second repeats what the first learned, so it predicts better than no adapter.
    expect(two).toMatchObject({ success: true });
    expect(two!.reward).toBeGreaterThan(0.7);
    expect(two!.outcome!.loss).toBeLessThan(two!.outcome!.lossWithoutAdapter);
    expect(JSON.parse(two!.input!)).toMatchObject({
      rank: 4,
      previousVersion: 2,
      learningRate: 1,
      hinted: false,
    });
    expect(JSON.parse(two!.output!)).toMatchObject({ newVersion: 3, totalSamples: 10 });
    expect(two!.critique).toMatch(
      /^The adapter predicted better than no adapter: loss 0\.\d+ against 0\.\d+/,
    );
    expect(one!.critique).toMatch(/^The adapter predicted no better/);
    expect(two!.latencyMs).toBeGreaterThan(0);
  });

  it('does not mistake a disliked item for a success', async () => {
    const { bank, engine } = connected({ learner: 'bayesian' });
    const x = embeddingOf(random);
    let adapter = engine.createAdapter('alice');
    for (let n = 0; n < 3; n++)
      adapter = await engine.updateAdapter(adapter, [{ contentEmbedding: x, reward: 1 }]);
    await engine.updateAdapter(adapter, [{ contentEmbedding: x, reward: 0 }]);
    expect(bank.stored.at(-1)).toMatchObject({ success: false });
    expect(bank.stored.at(-1)!.reward).toBeLessThan(0.7);
    expect(bank.stored.at(-2)).toMatchObject({ success: true });
  });

  it('measures targets by their distance to the embedding', async () => {
    const { bank, engine } = connected();
    const x = embeddingOf(random);
    const aimed = [{ contentEmbedding: x, targetEmbedding: x.map((value) => 2 * value), reward: 0 }];
    const first = await engine.updateAdapter(engine.createAdapter('alice'), aimed);
    await engine.updateAdapter(first, aimed);
    expect(bank.stored[0]).toMatchObject({ success: false, reward: 0.7, outcome: { rewards: 0 } });
    expect(bank.stored[1]).toMatchObject({ success: true });
  });

  it.each([
    ['typed hints', { hints: [{ hyperparameter: 'learningRate', value: 0.25 }] }, 0.25],
    ['a sentence', { recommendation: 'Reduce learning rate to 0.5' }, 0.5],
    ['a bare direction', { recommendation: 'reduce learning rate' }, 0.5],
    ['a negation', { recommendation: 'do not reduce learning rate' }, 1],
    ['nonsense', { recommendation: 7, hints: 'none' }, 1],
    ['something out of bounds', { recommendation: 'learning rate: 900' }, 10],
    ['something a factor of 1000 away', { recommendation: 'learning rate: 0.001' }, 0.01],
  ])('handles %s correctly', async (_, strategy, learningRate) => {
    const { bank, engine } = connected();
    bank.strategy = strategy;
    const plain = createLoRAPersonalizationEngine({ learner: 'sgd', learningRate });
    const hinted = await engine.updateAdapter(engine.createAdapter('alice'), feedback);
    const expected = await plain.updateAdapter(plain.createAdapter('alice'), feedback);
    expect(hinted.matrixB).toEqual(expected.matrixB);
    expect(hinted.metadata.learningRate).toBeCloseTo(learningRate, 12);
    expect(bank.stored[0]!.hyperparameters!.learningRate).toBeCloseTo(learningRate, 12);
    expect(JSON.parse(bank.stored[0]!.input!).hinted).toBe(learningRate !== 1);
  });

  it('lets a hint move the prior of the Bayesian learner', async () => {
    const { bank, engine } = connected({ learner: 'bayesian' });
    bank.strategy = { hints: [{ hyperparameter: 'priorVariance', value: 100 }] };
    const hinted = await engine.updateAdapter(engine.createAdapter('alice'), feedback);
    const free = createLoRAPersonalizationEngine({ priorVariance: 100 });
    expect(hinted.matrixB).toEqual((await free.updateAdapter(free.createAdapter('alice'), feedback)).matrixB);
  });

  it('asks once for similar updates, and counts cache hits', async () => {
    const { bank, engine } = connected();
    const adapters = Array.from({ length: 20 }, (_, n) => engine.createAdapter(`user ${n}`));
    await Promise.all(adapters.map((adapter) => engine.updateAdapter(adapter, feedback)));
    await engine.updateAdapter(adapters[0]!, feedback);
    expect(bank.tasks).toHaveLength(1);
    expect(engine.getReasoningBankStats()).toMatchObject({ cacheSize: 1, cacheHitRate: 20 / 21 });
    engine.clearReasoningBankCache();
    expect(engine.getReasoningBankStats().cacheSize).toBe(0);
    await engine.updateAdapter(adapters[0]!, feedback);
    expect(bank.tasks).toHaveLength(2);
    const other = new ScriptedBank();
    engine.connectReasoningBank(other);
    await engine.updateAdapter(adapters[0]!, feedback);
    expect(other.tasks).toHaveLength(1);
    engine.disconnectReasoningBank();
    expect(engine.getReasoningBankStats().cacheSize).toBe(0);
  });

  it('asks every time when the cache is off', async () => {
    const { bank, engine } = connected({ enableReasoningBankCache: false });
    for (let n = 0; n < 3; n++) await engine.updateAdapter(engine.createAdapter('alice'), feedback);
    expect(bank.tasks).toHaveLength(3);
    expect(engine.getReasoningBankStats()).toMatchObject({ cacheSize: 0, cacheHitRate: 0 });
  });

  it.each([
    ['fails', () => Promise.reject(new Error('down'))],
    ['hangs', () => new Promise<void>(() => {})],
  ])('learns the same when the bank %s, reports it, and keeps the episode', async (_, answer) => {
    const { bank, engine, degradations } = connected();
    bank.answer = answer;
    const without = createLoRAPersonalizationEngine({ learner: 'sgd' });
    const updated = await engine.updateAdapter(engine.createAdapter('alice'), feedback);
    expect(updated.matrixB).toEqual(
      (await without.updateAdapter(without.createAdapter('alice'), feedback)).matrixB,
    );
    expect(degradations).toContain('learnStrategy');
    expect(degradations).toContain('storePattern');
    expect(engine.getReasoningBankStats().pending).toBe(1);
  });

  it('stores nothing when the update is refused or empty', async () => {
    const { bank, engine } = connected();
    const adapter = engine.createAdapter('alice');
    await engine.updateAdapter(adapter, []);
    await expect(
      engine.updateAdapter(adapter, [{ contentEmbedding: embeddingOf(random), reward: 2 }]),
    ).rejects.toThrow();
    expect([bank.stored, bank.tasks]).toEqual([[], []]);
  });
});

describe('consolidateAdaptationPatterns', () => {
  it('asks the bank, in its order of arguments', async () => {
    const { bank, engine } = connected();
    expect(await engine.consolidateAdaptationPatterns()).toEqual({ skillsCreated: 3 });
    expect(await engine.consolidateAdaptationPatterns(0.5, 2, 7)).toEqual({ skillsCreated: 3 });
    expect(bank.consolidations).toEqual([
      [5, 0.85, 30],
      [2, 0.5, 7],
    ]);
  });

  it('is null without a bank, and rejects on a failure', async () => {
    expect(await createLoRAPersonalizationEngine().consolidateAdaptationPatterns()).toBeNull();
    const { bank, engine } = connected();
    bank.summary = {};
    await expect(engine.consolidateAdaptationPatterns()).rejects.toThrow(UnavailableError);
    bank.answer = () => Promise.reject(new Error('down'));
    await expect(engine.consolidateAdaptationPatterns()).rejects.toThrow('down');
  });
});

describe('getSimilarAdaptations', () => {
  const pattern = (user: string, reward: number) => ({
    task: `lora_adaptation_user_${user}_rank_8_samples_4`,
    success: true,
    reward,
    input: JSON.stringify({ learningRate: 0.02 }),
    output: JSON.stringify({ avgLoss: 0.1 }),
  });

  it('returns adaptations of similar users, without malformed patterns', async () => {
    const { bank, engine } = connected();
    bank.patterns = [pattern('bob', 0.9), null, { task: 7 }, { ...pattern('eve', 0.8), input: '{' }];
    expect(await engine.getSimilarAdaptations('alice')).toEqual([
      { userId: 'bob', rank: 8, avgLoss: 0.1, reward: 0.9, learningRate: 0.02 },
      { userId: 'eve', rank: 8, avgLoss: 0.1, reward: 0.8, learningRate: null },
    ]);
    expect(bank.queries).toEqual([
      ['lora_adaptation_user_alice', { k: 5, minReward: 0.7, onlySuccesses: true }],
    ]);
    expect(await engine.getSimilarAdaptations('alice', 1)).toHaveLength(1);
    expect(bank.queries[1]![1]).toMatchObject({ k: 1 });
  });

  it('is null without a bank, empty when it does not answer, and refuses nonsense', async () => {
    expect(await createLoRAPersonalizationEngine().getSimilarAdaptations('alice')).toBeNull();
    const { bank, engine } = connected();
    await expect(engine.getSimilarAdaptations('')).rejects.toThrow('userId: found ""');
    await expect(engine.getSimilarAdaptations('alice', 0)).rejects.toThrow('topK: found 0');
    bank.answer = () => Promise.reject(new Error('down'));
    expect(await engine.getSimilarAdaptations('alice')).toEqual([]);
  });
});
