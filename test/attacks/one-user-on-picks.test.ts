import { expect, test } from 'vitest';
import { itemKey } from '../../shared/episodes/episode.ts';
import type { FeedbackEvent, Interaction } from '../../shared/feedback/event.ts';
import { type Basis, basisFromEmbeddings, vectorNorm } from '../../shared/lora/basis.ts';
import { createRandom } from '../../shared/lora/random.ts';
import type { PopulationModel } from '../../shared/population/population-model.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { MemoryDeployment } from '../bench/learning/deployment.ts';
import { tellHarm } from '../support/harm.ts';

/** Items in four clusters; every user clicks items of one of them. */
const DIM = 16;
const CLUSTERS = 4;
const random = createRandom('clusters');
const items = Array.from({ length: 81 }, (_, i) =>
  Float32Array.from({ length: DIM }, (_, j) => (j === i % CLUSTERS ? 2 : 0) + 0.4 * random.normal()),
);
/** An item that no honest user clicks. */
const VICTIM = items.length - 1;

async function deploy({ withBasis = true } = {}) {
  const deployment = await MemoryDeployment.create({
    embeddingDim: DIM,
    basis: withBasis ? basisFromEmbeddings(items, { rank: 4, scalingFactor: 1, seed: 1 }) : null,
    meanReward: 0.5,
    consolidation: 'never',
  });
  const { basis, population } = learningObjects(deployment.objects, deployment.settings, { maxAgeMs: 1 });
  return {
    deployment,
    basis: async () => (await basis.refresh())!.basis,
    population: async () => (await population.refresh())!,
  };
}

type Deployment = Awaited<ReturnType<typeof deploy>>['deployment'];

const picked = (item: number): Interaction => ({
  itemId: `item ${item}`,
  embedding: items[item]!,
  reward: 1,
});

async function publish(deployment: Deployment, userId: string, events: readonly (readonly Interaction[])[]) {
  for (const [index, interactions] of events.entries()) {
    const event: FeedbackEvent = {
      schemaVersion: 1,
      eventId: `${userId}-${index}`,
      userId,
      occurredAt: '2026-01-01T00:00:00Z',
      interactions,
    };
    await deployment.update(event);
  }
}

async function crowd(deployment: Deployment, users: number, events: number) {
  for (let user = 0; user < users; user++) {
    const own = createRandom(`user ${user}`);
    const click = () => picked(CLUSTERS * own.integer(VICTIM / CLUSTERS) + (user % CLUSTERS));
    await publish(
      deployment,
      `user ${user}`,
      Array.from({ length: events }, () => Array.from({ length: 5 }, click)),
    );
  }
}

test('one user cannot make a deployment of clicks learn from rewards: two different rewards beside five users who click', async (context) => {
  const { deployment } = await deploy();
  await crowd(deployment, 5, 3);
  const before = (await deployment.consolidate(true)).learnsFrom;
  await publish(deployment, 'mallory', [
    [
      { ...picked(0), reward: 0.3 },
      { ...picked(1), reward: 0.7 },
    ] as Interaction[],
  ]);
  const { learnsFrom } = await deployment.consolidate(true);
  tellHarm(context, {
    before: 'learned from picks → rewards, which all were equal',
    now: `learned from ${before} → ${learnsFrom}`,
  });
  expect([before, learnsFrom]).toEqual(['picks', 'picks']);
});

test('one user cannot make an item popular: a bot picks one item 10,000 times', {
  timeout: 60_000,
}, async (context) => {
  const { deployment, population } = await deploy();
  await crowd(deployment, 20, 4);
  await publish(
    deployment,
    'bot',
    Array.from({ length: 10 }, () => Array.from({ length: 1_000 }, () => picked(VICTIM))),
  );
  await deployment.consolidate(true);
  const { items: learned } = await population();
  const picks = [...learned.sums.values()].map(({ count }) => count);
  const scores = await deployment.scores(
    'user 1',
    items.map((embedding, item) => ({ itemId: `item ${item}`, embedding })),
  );
  const above = scores.filter((score) => score > scores[VICTIM]!).length;
  tellHarm(context, {
    before: 'every pick counted',
    now: `the item counts ${countOf(learned)} of ${picks.reduce((sum, count) => sum + count, 0)} picks and is number ${above + 1} of ${items.length} for somebody of other taste`,
  });
  expect(countOf(learned)).toBe(1);
  expect(above).toBeGreaterThan(items.length / 2);
});

test('one user cannot turn the basis away from what others meet: 200 interactions with items that nobody else has', async (context) => {
  const shareWith = async (bot: boolean) => {
    const { deployment, basis } = await deploy({ withBasis: false });
    await crowd(deployment, 18, 7);
    const own = createRandom('bot');
    const junk = (axis: number): Interaction => ({
      embedding: Float32Array.from({ length: DIM }, (_, j) => (j === axis ? 5 : 0.01 * own.normal())),
      reward: 1,
    });
    if (bot) {
      await publish(
        deployment,
        'bot',
        Array.from({ length: 2 }, () => Array.from({ length: 100 }, (_, i) => junk(8 + (i % 2)))),
      );
    }
    await deployment.consolidate(true);
    return shareIn(await basis());
  };
  const [peace, war] = [await shareWith(false), await shareWith(true)];
  tellHarm(context, {
    before: 'the basis held .72 → .44 of what others meet',
    now: `the basis holds ${peace.toFixed(2)} → ${war.toFixed(2)} of what others meet`,
  });
  expect(war).toBeGreaterThan(peace - 0.02);
});

function countOf({ sums }: PopulationModel['items']): number {
  return sums.get(itemKey(`item ${VICTIM}`))!.count;
}

/** Share of the items' squared length that lies in the span of A, whose rows are orthonormal. */
function shareIn({ a, rank }: Basis): number {
  const shares = items.map((x) => {
    let inside = 0;
    for (let k = 0; k < rank; k++) {
      const product = x.reduce((sum, value, j) => sum + value * a[k * DIM + j]!, 0);
      inside += product * product;
    }
    return inside / vectorNorm(x) ** 2;
  });
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}
