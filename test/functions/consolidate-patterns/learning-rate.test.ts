import { describe, expect, test } from 'vitest';
import { aucByThreshold } from '../../../cli/replay/datasets/ranking-metrics.ts';
import { learnLearningRate } from '../../../functions/consolidate-patterns/learning-rate.ts';
import { AdapterStore } from '../../../shared/adapters/adapter-store.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import { InMemoryEpisodeStore } from '../../../shared/episodes/in-memory-episode-store.ts';
import { PendingEpisodes } from '../../../shared/episodes/pending-episodes.ts';
import type { FeedbackEvent } from '../../../shared/feedback/event.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { hyperparametersFor } from '../../../shared/population/exploration.ts';
import { initialPopulationModel } from '../../../shared/population/population-model.ts';
import { combine, learningObjects } from '../../../shared/population/shared-learning.ts';
import { MemoryDeployment } from '../../bench/learning/deployment.ts';
import { SETTINGS } from '../../support/container.ts';

const DIM = 16;
const STRATEGY = { cell: 'sgd-r4-d16', hints: [], confidence: 0, skills: [], consolidatedAt: 0 };
const random = createRandom('strategy');
const items = Array.from({ length: 60 }, () => {
  const item = Float32Array.from({ length: DIM }, () => random.normal());
  const length = Math.hypot(...item);
  return item.map((value) => value / length);
});
/** Everyone likes items along the first axis. */
const rewardOf = (item: Float32Array) => Math.min(1, Math.max(0, 0.5 + item[0]!));

function eventOf(userId: string, index: number): FeedbackEvent {
  return {
    schemaVersion: 1,
    eventId: `${userId} ${index}`,
    userId,
    occurredAt: '2026-01-01T00:00:00Z',
    interactions: Array.from({ length: 5 }, (_, i) => {
      const item = (index * 5 + i) % 40;
      return { itemId: `item ${item}`, embedding: items[item]!, reward: rewardOf(items[item]!) };
    }),
  };
}

async function deploy(learner: { learningRate: number; exploration: number }, users: number) {
  const deployment = await MemoryDeployment.create({
    embeddingDim: DIM,
    basis: null,
    meanReward: 0.3,
    learner: { learner: 'sgd', ...learner },
    consolidation: 'never',
  });
  const feedback = async (userId: string, events: number) => {
    for (let index = 0; index < events; index++) await deployment.update(eventOf(userId, index));
  };
  for (let user = 0; user < users; user++) await feedback(`user ${user}`, 6);
  const adapters = new AdapterStore(deployment.objects);
  const adapterOf = async (userId: string) => (await adapters.load(userKey(userId)))!.adapter;
  const explores = (userId: string) =>
    hyperparametersFor(userKey(userId), deployment.settings, {
      learningRate: 7,
      insteadOf: learner.learningRate,
    })!.learningRate !== 7;
  return { deployment, feedback, adapterOf, explores };
}

describe("a deployment of the learner 'sgd'", () => {
  test('learns a better learning rate from exploring users, and uses it for all others', async () => {
    const { deployment, feedback, adapterOf, explores } = await deploy(
      { learningRate: 0.01, exploration: 0.5 },
      200,
    );
    const report = await deployment.consolidate(true);
    const { recommended, rejected, considered, recommendation } = report.strategy!;
    expect(report).toMatchObject({
      status: 'consolidated',
      priorAccepted: false,
      items: 30,
      skillsCreated: 2,
    });
    const rate = recommended!.learningRate;
    expect(rate).toBeGreaterThan(0.05);
    expect(recommendation).toContain('episodes of');
    expect(considered.length).toBeGreaterThan(6);
    expect(rejected.map(({ what }) => what)).toContain('learningRate 0.001');

    const population = await learningObjects(deployment.objects, deployment.settings).population.refresh();
    expect(population).toMatchObject({
      recommended: { learningRate: rate, insteadOf: 0.01 },
      priorVersion: 0,
    });
    expect(population!.prior.meanReward).toBeGreaterThan(0.4);

    const newcomers = Array.from({ length: 20 }, (_, i) => `newcomer ${i}`);
    const others = newcomers.filter((userId) => !explores(userId));
    const explorers = newcomers.filter(explores);
    for (const userId of [others[0]!, explorers[0]!]) await feedback(userId, 8);
    expect((await adapterOf(others[0]!)).lastEpisode!.hyperparameters).toEqual({ learningRate: rate });
    expect((await adapterOf(explorers[0]!)).lastEpisode!.hyperparameters).toEqual(
      hyperparametersFor(userKey(explorers[0]!), deployment.settings, null),
    );

    const unseen = items.slice(40);
    const scores = await deployment.scores(
      others[0]!,
      unseen.map((embedding) => ({ embedding })),
    );
    expect(
      aucByThreshold(
        scores,
        unseen.map((item) => rewardOf(item) > 0.5),
      ),
    ).toBeGreaterThan(0.8);
  });

  test('keeps a good configured learning rate, and reports nothing as created', async () => {
    const { deployment } = await deploy({ learningRate: 2, exploration: 0.5 }, 60);
    const report = await deployment.consolidate(true);
    expect(report).toMatchObject({
      skillsCreated: 1,
      considered: 2,
      rejected: [
        { what: 'learning rate', why: expect.stringMatching(/^as before: Keep the configured values/) },
      ],
      strategy: { recommended: null },
    });
    expect(report.strategy!.rejected.map(({ what }) => what)).toContain('learningRate 0.2');
  });

  test('withdraws a recommendation that the evidence no longer supports, and does not report it as created', async () => {
    const { deployment } = await deploy({ learningRate: 2, exploration: 0.5 }, 60);
    const { population } = learningObjects(deployment.objects, deployment.settings);
    await population.write({
      ...(await population.refresh())!,
      recommended: { learningRate: 0.2, insteadOf: 2 },
    });
    expect(await deployment.consolidate(true)).toMatchObject({
      skillsCreated: 1,
      considered: 2,
      rejected: [
        { what: 'learning rate', why: expect.stringMatching(/^withdrawn: Keep the configured values/) },
      ],
    });
    expect((await population.refresh())!.recommended).toBeNull();
  });

  test('learns no strategy without exploring users', async () => {
    const { deployment, adapterOf } = await deploy({ learningRate: 0.01, exploration: 0 }, 15);
    expect(await deployment.consolidate(true)).toMatchObject({
      pickRanking: null,
      strategy: null,
      items: 30,
      considered: 1,
      rejected: [],
    });
    expect((await adapterOf('user 3')).lastEpisode!.hyperparameters).toEqual({ learningRate: 0.01 });
  });

  test('keeps the recommendation when exploration ends, unless another learning rate is configured', async () => {
    const store = new InMemoryEpisodeStore();
    const found = { learningRate: 0.316, insteadOf: 0.01 };
    await store.recordStrategy({ ...STRATEGY, recommendation: 'Set learning rate to 0.316.' });
    const runWith = (learningRate: number) => {
      const settings = { ...SETTINGS, learner: 'sgd' as const, exploration: 0, learningRate };
      const population = { ...initialPopulationModel(null), recommended: found };
      return learnLearningRate(
        { cell: STRATEGY.cell, settings, episodes: store, now: () => 7 },
        {
          currentBasis: undefined,
          stored: population,
          current: combine(undefined, population),
          found: [],
          progress: population.progress,
          force: true,
        },
      );
    };
    expect(await runWith(0.01)).toMatchObject({
      population: { recommended: found },
      considered: 0,
      rejected: [],
    });
    expect((await store.strategy(STRATEGY.cell))!.recommendation).toBe('Set learning rate to 0.316.');

    expect(await runWith(0.1)).toMatchObject({
      population: { recommended: null },
      considered: 0,
      rejected: [],
    });
    expect(await store.strategy(STRATEGY.cell)).toEqual({
      ...STRATEGY,
      recommendation:
        'Keep the configured values: learningRate 0.316 was recommended in place of 0.01, which is no longer configured.',
      consolidatedAt: 7,
    });
  });

  test('records the effect of the taste in an episode, also in a pending one', async () => {
    const { deployment, adapterOf } = await deploy({ learningRate: 1, exploration: 0 }, 1);
    const episode = (await adapterOf('user 0')).lastEpisode!;
    const { loss, lossWithoutAdapter, taste } = episode.outcome;
    // No item effects are known, so without a taste only the user's mean predicts.
    expect(taste!.lossWithout).toBeCloseTo(lossWithoutAdapter, 12);
    expect(taste!.meanSquare).toBeGreaterThan(0);
    expect(loss).toBeLessThan(taste!.lossWithout);
    const pending = new PendingEpisodes(deployment.objects);
    await pending.put(episode);
    const [waiting] = await Array.fromAsync(pending.list());
    expect(waiting).toMatchObject({ episode });
  });
});
