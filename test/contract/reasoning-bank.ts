import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { userKey } from '../../shared/config/user-key.ts';
import { taskOf } from '../../shared/episodes/adaptation-context.ts';
import type { BankStore } from '../../shared/episodes/bank-store.ts';
import type { Episode } from '../../shared/episodes/episode.ts';
import type { IndexedEpisode } from '../../shared/episodes/episode-store.ts';
import { initialPrior } from '../../shared/lora/prior.ts';
import { parseHints } from '../../shared/population/hints.ts';
import { initialPopulationModel } from '../../shared/population/population-model.ts';
import { summaryOf } from '../../shared/population/prior-summary.ts';
import type { NewPattern } from '../../shared/reasoning-bank/bank.ts';
import { StoredReasoningBank } from '../../shared/reasoning-bank/stored-reasoning-bank.ts';

/** A store for one test, empty. */
export interface BankStoreUnderTest {
  readonly store: BankStore;
  /** Returns when all writes are visible: DynamoDB's indexes follow a little later. */
  settle(): Promise<void>;
  stop(): Promise<void>;
}

const START = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;

/** The contract of every ReasoningBank, on any store. */
export function describeReasoningBank(
  name: string,
  start: (options: { now: () => number; ttlDays: number }) => Promise<BankStoreUnderTest>,
): void {
  describe(`the ReasoningBank ${name}`, () => {
    let now = START;
    let under: BankStoreUnderTest;
    let bank: StoredReasoningBank;

    beforeEach(async () => {
      now = START;
      // Every reading of the clock is later than the one before.
      const clock = () => now++;
      under = await start({ now: clock, ttlDays: 30 });
      bank = new StoredReasoningBank(under.store, { now: clock });
    });
    afterEach(() => under.stop());

    const store = async (...patterns: NewPattern[]) => {
      for (const pattern of patterns) await bank.storePattern(pattern);
      await under.settle();
    };

    it('returns a pattern as it was stored', async () => {
      const told = {
        sessionId: 'session-1',
        task: taskOf('ada', 8, 40),
        input: '{"batch":5}',
        output: '{"loss":0.02}',
        critique: 'the loss fell',
        success: true,
        reward: 0.75,
        latencyMs: 12,
        tokensUsed: 3,
        userId: 'ada',
        version: 7,
        context: { learner: 'sgd', rank: 8, embeddingDim: 128, samplesSeen: 40, batchSize: 5, loss: 0.02 },
        hyperparameters: { learningRate: 0.05 },
        outcome: { rewards: 5, meanReward: 0.6, loss: 0.02, lossWithoutAdapter: 0.04, lossOfWarmStart: 0.03 },
      };
      const id = await bank.storePattern(told);
      await under.settle();
      const { userId, ...expected } = told;
      expect(await bank.retrievePatterns(told.task)).toEqual([
        expect.objectContaining({ ...expected, id, similarity: 1, committedAt: START }),
      ]);
    });

    it('keeps one episode per user and version, however often it is stored', async () => {
      const first = await bank.storePattern(pattern({ userId: 'ada', version: 3, reward: 0.5 }));
      const again = await bank.storePattern(pattern({ userId: 'ada', version: 3, reward: 0.9 }));
      await under.settle();
      expect(again).toBe(first);
      expect((await bank.retrievePatterns('rank 4')).map(({ reward }) => reward)).toEqual([0.5]);
    });

    it('keeps every pattern without a version', async () => {
      await store(pattern({}), pattern({}), pattern({ task: 'bake bread' }), pattern({ task: 'bake bread' }));
      expect(await bank.retrievePatterns('rank 4', { k: 10 })).toHaveLength(4);
      expect((await bank.stats()).episodes).toBe(4);
    });

    it('filters patterns before it ranks them', async () => {
      for (let i = 0; i < 20; i++)
        await bank.storePattern(pattern({ samplesSeen: 10, reward: 0.1, success: false }));
      await store(pattern({ samplesSeen: 5000, reward: 0.8 }), pattern({ samplesSeen: 900, reward: 0.9 }));
      const query = 'rank=4 samples=10';
      const rewards = async (options: object) =>
        (await bank.retrievePatterns(query, { k: 3, ...options })).map(({ reward }) => reward);
      expect(await rewards({})).toEqual([0.1, 0.1, 0.1]);
      expect(await rewards({ minReward: 0.5 })).toEqual([0.9, 0.8]);
      expect(await rewards({ onlySuccesses: true })).toEqual([0.9, 0.8]);
      expect(await rewards({ onlyFailures: true })).toEqual([0.1, 0.1, 0.1]);
      expect(await rewards({ onlyFailures: true, minReward: 0.5 })).toEqual([]);
    });

    it('ranks by the structured context', async () => {
      await store(
        pattern({ samplesSeen: 100, sessionId: 'far' }),
        pattern({ samplesSeen: 12, sessionId: 'near' }),
        pattern({ samplesSeen: 10, sessionId: 'same' }),
      );
      const found = await bank.retrievePatterns({ rank: 4, samplesSeen: 10 });
      expect(found.map(({ sessionId }) => sessionId)).toEqual(['same', 'near', 'far']);
      expect(found[0]?.similarity).toBe(1);
      expect(found[2]?.similarity).toBeLessThan(found[1]?.similarity ?? 0);
    });

    it('finds each of many recent patterns by its own task', async () => {
      const users = Array.from({ length: 200 }, (_, i) => `user-${i}`);
      const critique = 'The adapter predicted better than no adapter.';
      for (const user of users) await bank.storePattern(pattern({ task: taskOf(user, 4, 10), critique }));
      for (let i = 0; i < 20; i++) await bank.storePattern(pattern({ task: taskOf('x', 4, 10) }));
      await under.settle();
      for (const user of users.slice(-40)) {
        const [best] = await bank.retrievePatterns(taskOf(user, 4, 10), { k: 1 });
        expect(best?.task).toBe(taskOf(user, 4, 10));
      }
    });

    it('reads the newest 32 patterns of each shard', async () => {
      for (let version = 1; version <= 40; version++)
        await bank.storePattern(pattern({ userId: 'ada', version }));
      await under.settle();
      const found = await bank.retrievePatterns('rank 4', { k: 40 });
      expect(found.map(({ version }) => version)).toEqual(Array.from({ length: 32 }, (_, i) => 40 - i));
      expect((await bank.stats()).episodes).toBe(40);
    });

    it('ranks by shared words for free text', async () => {
      await store(
        pattern({ task: 'banana bread recipe with walnuts' }),
        pattern({ task: 'the learning rate was reduced until the loss fell' }),
      );
      const [best] = await bank.retrievePatterns('reduce learning rate', { k: 1 });
      expect(best?.task).toContain('learning rate');
    });

    it('also reads other cells when its own has too few patterns', async () => {
      await store(pattern({ task: taskOf('ada', 8, 10) }), pattern({ task: taskOf('bob', 4, 10) }));
      const found = await bank.retrievePatterns(taskOf('eve', 4, 10), { k: 2 });
      expect(found.map(({ context }) => context.rank)).toEqual([4, 8]);
      expect(await bank.retrievePatterns(taskOf('eve', 4, 10), { k: 1 })).toHaveLength(1);
    });

    it('leaves expired episodes out of every answer', async () => {
      await store(pattern({ hyperparameters: { learningRate: 0.1 } }));
      now = START + 31 * DAY_MS;
      expect(await bank.retrievePatterns('rank 4')).toEqual([]);
      expect((await bank.stats()).episodes).toBe(0);
      expect((await bank.learnStrategy('rank 4')).patterns).toEqual([]);
      expect((await bank.autoConsolidate(1, 0, 365)).skillsCreated).toBe(0);
    });

    it('returns episodes of the update path in words', async () => {
      const episode: Episode = {
        userKey: userKey('ada'),
        version: 3,
        cell: 'bayesian-r4-d64',
        committedAt: START - 5,
        context: { events: 2, interactions: 5, samplesSeen: 10, skillsVersion: 1 },
        outcome: {
          rewards: 5,
          meanReward: 0.5,
          loss: 0.02,
          lossWithoutAdapter: 0.04,
          lossOfWarmStart: 0.03,
          taste: { lossWithout: 0.035, meanSquare: 0.001 },
        },
        hyperparameters: { learningRate: 0.3 },
        heldOut: true,
        residuals: [{ itemKey: 2n ** 63n, residual: Math.fround(-0.1) }],
        embeddings: [Float16Array.of(0.6, -0.8), Float16Array.of(1, 0)],
      };
      expect(await under.store.store(episode)).toBe('stored');
      expect(await under.store.store({ ...episode, committedAt: START })).toBe('known');
      await under.settle();
      expect(await bank.retrievePatterns({ rank: 4, samplesSeen: 10, batchSize: 5, loss: 0.02 })).toEqual([
        {
          id: `${episode.userKey}#3`,
          sessionId: 'bayesian-r4-d64',
          task: `lora_adaptation_user_${episode.userKey}_rank_4_samples_10`,
          input: '{"events":2,"interactions":5,"samplesSeen":10,"skillsVersion":1}',
          output: JSON.stringify(episode.outcome),
          critique: '',
          success: true,
          reward: expect.closeTo(0.7 ** 0.5, 12),
          latencyMs: 0,
          tokensUsed: 0,
          similarity: 1,
          userKey: episode.userKey,
          version: 3,
          committedAt: START - 5,
          context: {
            learner: 'bayesian',
            rank: 4,
            embeddingDim: 64,
            samplesSeen: 10,
            batchSize: 5,
            loss: 0.02,
          },
          hyperparameters: { learningRate: 0.3 },
          outcome: episode.outcome,
        },
      ]);
      expect(await Array.fromAsync(under.store.ofUser(episode.userKey))).toEqual([{ episode }]);
      expect(await under.store.recent('bayesian-r4-d64', 1)).toEqual([episode]);
      expect(await bank.forgetUser('ada')).toBe(1);
    });

    it('returns every episode after a watermark once, in the order of storing', async () => {
      for (let user = 0; user < 30; user++) {
        for (const version of [2, 1]) await bank.storePattern(pattern({ userId: `user-${user}`, version }));
      }
      await under.settle();
      const read = async (watermarks: readonly string[], until: number) => {
        const found = await Array.fromAsync(under.store.after('bayesian-r4-d64', watermarks, until));
        return found.filter((each): each is IndexedEpisode => each.error === undefined);
      };
      const all = await read([], now + 1000);
      expect(new Set(all.map(({ episode }) => `${episode.userKey} ${episode.version}`)).size).toBe(60);
      for (const own of Map.groupBy(all, ({ episode }) => episode.userKey).values()) {
        expect(own.map(({ episode }) => episode.version)).toEqual([2, 1]);
      }
      const watermarks: string[] = Array(16).fill('');
      for (const { shard, position } of all) watermarks[shard] = position;
      expect(await read(watermarks, now + 1000)).toEqual([]);
      // Another run may have left out fewer of the newest.
      expect(await read(watermarks, 0)).toEqual([]);
      const until = now;
      await store(pattern({ userId: 'late', version: 1 }));
      expect(await read(watermarks, until)).toEqual([]);
      expect((await read(watermarks, now + 1000)).map(({ episode }) => episode.userKey)).toEqual([
        userKey('late'),
      ]);
    });

    it('removes all episodes of a user, and nothing else', async () => {
      for (let version = 1; version <= 60; version++)
        await bank.storePattern(pattern({ userId: 'ada', version }));
      await store(
        pattern({ task: taskOf('ada', 8, 3) }),
        pattern({ userId: 'Ada', version: 1 }),
        pattern({ sessionId: 'ada' }),
        pattern({ task: taskOf('bob', 4, 3) }),
      );
      expect(await bank.forgetUser('ada')).toBe(61);
      await under.settle();
      const left = await bank.retrievePatterns('rank 4', { k: 100 });
      expect(left).toHaveLength(3);
      expect(await bank.forgetUser('ada')).toBe(0);
      await bank.storePattern(pattern({ userId: 'ada', version: 1 }));
      await under.settle();
      expect((await bank.stats()).episodes).toBe(4);
    });

    it('counts its episodes', async () => {
      expect(await bank.stats()).toEqual({
        episodes: 0,
        complete: true,
        recent: { episodes: 0, users: 0, successes: 0, meanReward: null },
        skills: 0,
        cells: [],
      });
      await store(
        pattern({ userId: 'ada', version: 1, reward: 0.25, success: false }),
        pattern({ userId: 'ada', version: 2, reward: 0.75 }),
        pattern({ userId: 'bob', version: 1, reward: 0.5 }),
        pattern({ task: 'bake bread', reward: 0.5, sessionId: 'baker' }),
      );
      expect(await bank.stats()).toEqual({
        episodes: 4,
        complete: true,
        recent: { episodes: 4, users: 3, successes: 3, meanReward: 0.5 },
        skills: 0,
        cells: [
          { cell: 'bayesian-r4-d64', episodes: 3, skills: 0 },
          { cell: 'text', episodes: 1, skills: 0 },
        ],
      });
    });

    it('recommends a value that is significantly better than the default, and says so in words', async () => {
      for (let user = 0; user < 30; user++) {
        const better = user % 2 === 0;
        await bank.storePattern(
          pattern({
            userId: `user-${user}`,
            version: 1,
            reward: (better ? 0.7 : 0.5) + 0.01 * (user % 5),
            hyperparameters: { learningRate: better ? 0.05 : 0.01, gradientClipThreshold: 1 + (user % 3) },
          }),
        );
      }
      await under.settle();
      const configured = { learningRate: 0.01, gradientClipThreshold: 1 };
      const informed = new StoredReasoningBank(under.store, { now: () => now, hyperparameters: configured });
      const strategy = await informed.learnStrategy(taskOf('eve', 4, 10));
      expect(strategy.hints).toHaveLength(1);
      const [hint] = strategy.hints;
      expect(hint).toMatchObject({ hyperparameter: 'learningRate', value: 0.05 });
      expect(hint?.evidence).toMatchObject({ episodes: 15, users: 15, defaultUsers: 15, defaultValue: 0.01 });
      expect(hint?.evidence.effect).toBeCloseTo(0.2, 2);
      expect(hint?.evidence.interval?.[0]).toBeGreaterThan(0.15);
      expect(strategy.causality.map(({ hyperparameter, value }) => [hyperparameter, value])).toEqual([
        ['gradientClipThreshold', 2],
        ['gradientClipThreshold', 3],
        ['learningRate', 0.05],
      ]);
      expect(strategy.confidence).toBeCloseTo(15 / 35, 10);
      expect(strategy.patterns).toHaveLength(5);
      expect(parseHints(strategy.recommendation, configured)).toEqual({ learningRate: 0.05 });
    });

    it('keeps the configured value when no value is significantly better, or too few users tried it', async () => {
      for (let user = 0; user < 40; user++) {
        const rate = user < 4 ? 0.5 : user % 2 === 0 ? 0.05 : 0.01;
        const reward = user < 4 ? 0.99 : ((user * 7) % 11) / 11;
        await bank.storePattern(
          pattern({ userId: `user-${user}`, version: 1, reward, hyperparameters: { learningRate: rate } }),
        );
      }
      await under.settle();
      const strategy = await bank.learnStrategy('rank 4');
      expect(strategy.hints).toEqual([]);
      expect(strategy.causality).toHaveLength(2);
      expect(parseHints(strategy.recommendation, { learningRate: 0.01 })).toEqual({});
    });

    it('extracts skills with enough uses and successes, once', async () => {
      const tried = (learningRate: number, success: boolean, user: number) =>
        pattern({ userId: `secret-${user}`, version: 1, success, hyperparameters: { learningRate } });
      for (let user = 0; user < 6; user++) await bank.storePattern(tried(0.05, true, user));
      for (let user = 6; user < 12; user++) await bank.storePattern(tried(0.5, user < 8, user));
      await bank.storePattern(tried(0.9, true, 12));
      await under.settle();
      const summary = await bank.autoConsolidate(5, 0.85, 30);
      expect(summary).toEqual({
        skillsCreated: 1,
        considered: 3,
        rejected: [
          { what: 'bayesian-r4-d64 {"learningRate":0.5}', why: 'success rate 0.333, expected at least 0.85' },
          { what: 'bayesian-r4-d64 {"learningRate":0.9}', why: '1 episodes, expected at least 5' },
        ],
      });
      const { skills } = await bank.learnStrategy('rank 4');
      expect(skills).toEqual([
        expect.objectContaining({
          hyperparameters: { learningRate: 0.05 },
          uses: 6,
          users: 6,
          successRate: 1,
        }),
      ]);
      expect(JSON.stringify(await under.store.strategy('bayesian-r4-d64'))).not.toContain('secret');
      expect((await bank.autoConsolidate(5, 0.85, 30)).skillsCreated).toBe(0);
      now += 10 * DAY_MS;
      expect((await bank.autoConsolidate(5, 0.85, 5)).considered).toBe(0);
      expect((await bank.learnStrategy('rank 4')).skills).toEqual([]);
    });

    it('returns the prior that the deployed consolidation has recorded', async () => {
      expect((await bank.learnStrategy('rank 4')).prior).toBeNull();
      const evidence = {
        users: 92,
        interactions: 4600,
        validationUsers: 8,
        logLikelihoodBefore: 0.1,
        logLikelihoodAfter: 0.2,
        gainInterval: { low: 0.01, high: 0.05 },
        shortfall: 0.002,
      };
      const skills = {
        ...initialPopulationModel(null),
        prior: initialPrior('basis', 65),
        version: 1,
        priorVersion: 1,
        evidence,
      };
      await under.store.recordPrior('bayesian-r4-d64', summaryOf(skills));
      const { prior, recommendation } = await bank.learnStrategy('rank 4');
      expect(prior).toEqual({
        skillsVersion: 1,
        priorVersion: 1,
        noiseVariance: 0.04,
        meanReward: 0.5,
        coefficientVariance: expect.closeTo(0.4, 12),
        offsetVariance: 0.02,
        items: 0,
        episodes: 0,
        consolidatedAt: 0,
        evidence,
      });
      expect(recommendation).toContain('New users start from what 92 users showed in 4600 interactions.');
      expect(parseHints(recommendation, { priorVariance: 10, learningRate: 0.1 })).toEqual({});
      expect((await bank.stats()).cells).toEqual([]);
    });

    it('keeps a later prior when a late run records an earlier one, and accepts a repetition', async () => {
      const at = (version: number, fittedAt: number) => ({
        ...initialPopulationModel(null),
        prior: initialPrior('basis', 65),
        version,
        progress: { watermarks: [], episodes: 0, fittedEpisodes: 0, at: fittedAt },
      });
      const recorded = async () => (await bank.learnStrategy('rank 4')).prior;
      await under.store.recordPrior('bayesian-r4-d64', summaryOf(at(2, 20)));
      await under.store.recordPrior('bayesian-r4-d64', summaryOf(at(1, 10)));
      expect(await recorded()).toMatchObject({ skillsVersion: 2, consolidatedAt: 20 });
      await under.store.recordPrior('bayesian-r4-d64', summaryOf(at(2, 21)));
      expect(await recorded()).toMatchObject({ skillsVersion: 2, consolidatedAt: 21 });
      await under.store.recordPrior('bayesian-r4-d64', summaryOf(at(10, 30)));
      expect(await recorded()).toMatchObject({ skillsVersion: 10 });
    });

    it.each([
      [{ k: 0 }, 'k: found 0, expected an integer from 1 to 10000'],
      [{ k: 10_001 }, 'k: found 10001, expected an integer from 1 to 10000'],
      [{ k: 1.5 }, 'k: found 1.5, expected an integer from 1 to 10000'],
      [{ minReward: 1.5 }, 'minReward: found 1.5, expected a number from 0 to 1'],
      [{ minReward: Number.NaN }, 'minReward: found NaN, expected a number from 0 to 1'],
      [{ onlyFailures: 'yes' }, 'onlyFailures: found "yes", expected true or false'],
      [
        { onlySuccesses: true, onlyFailures: true },
        'onlyFailures: found true, expected false when onlySuccesses is true',
      ],
      [{ limit: 3 }, 'input: found the unknown field "limit", expected only known fields'],
    ])('refuses to retrieve with %j', async (options, message) => {
      await expect(bank.retrievePatterns('rank 4', options as object)).rejects.toThrow(
        expect.objectContaining({ name: 'InvalidInputError', message }),
      );
    });

    it.each([
      [{ reward: 1.5 }, 'reward: found 1.5, expected a number from 0 to 1'],
      [{ reward: -0.1 }, 'reward: found -0.1, expected a number from 0 to 1'],
      [{ reward: Number.NaN }, 'reward: found NaN, expected a number from 0 to 1'],
      [{ task: '' }, 'task: found "", expected 1 to 1024 characters'],
      [{ userId: 'a'.repeat(129) }, 'userId: found '],
      [{ version: 0 }, 'version: found 0, expected an integer from 1 to 9999999999'],
      [{ context: { rank: -4 } }, 'context.rank: found -4, expected an integer from 1 to 1000000'],
      [{ context: { colour: 1 } }, 'context: found the unknown field "colour"'],
      [
        { hyperparameters: { learningRate: Number.POSITIVE_INFINITY } },
        'hyperparameters.learningRate: found Infinity',
      ],
      [{ output: 'é'.repeat(2049) }, 'expected text of at most 4096 bytes'],
      [{ success: 1 }, 'success: found 1, expected true or false'],
      [{ latencyMs: -1 }, 'latencyMs: found -1'],
    ])('refuses a pattern with %j', async (fields, message) => {
      const broken = { ...pattern({}), ...fields } as NewPattern;
      await expect(bank.storePattern(broken)).rejects.toThrow(
        expect.objectContaining({ name: 'InvalidInputError', message: expect.stringContaining(message) }),
      );
      expect((await bank.stats()).episodes).toBe(0);
    });

    it.each([
      [[5, 0.85, -1], 'lookbackDays: found -1, expected a number'],
      [[5, 0.85, 0], 'lookbackDays: found 0, expected a number above 0'],
      [[0, 0.85, 30], 'minUses: found 0, expected an integer'],
      [[5, 1.1, 30], 'minSuccessRate: found 1.1, expected a number from 0 to 1'],
    ] as const)('refuses to consolidate with %j', async (values, message) => {
      await expect(bank.autoConsolidate(...values)).rejects.toThrow(
        expect.objectContaining({ name: 'InvalidInputError', message: expect.stringContaining(message) }),
      );
    });

    it('stores the largest valid pattern', async () => {
      const text = 'é'.repeat(2048);
      await store(pattern({ task: 'x'.repeat(1024), input: text, output: text, critique: text }));
      expect((await bank.retrievePatterns('anything'))[0]?.critique).toBe(text);
    });
  });
}

/** A pattern of an adapter of rank 4. */
function pattern({ samplesSeen, ...fields }: Partial<NewPattern> & { samplesSeen?: number }): NewPattern {
  return {
    sessionId: 'session',
    task: `adapt rank=4 samples=${samplesSeen ?? 10}`,
    success: true,
    reward: 0.75,
    ...fields,
  };
}
