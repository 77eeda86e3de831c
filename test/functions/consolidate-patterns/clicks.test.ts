import { describe, expect, test, vi } from 'vitest';
import { consolidate } from '../../../functions/consolidate-patterns/consolidate.ts';
import { applyEvents } from '../../../functions/update-adapters/apply-events.ts';
import { AdapterCache } from '../../../shared/adapters/adapter-cache.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import type { PersonalizeAnswer, ScoredItem } from '../../../shared/contract/answers.ts';
import { itemKey } from '../../../shared/episodes/episode.ts';
import { ConflictError, CorruptObjectError } from '../../../shared/errors.ts';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { learningObjects, readSharedLearning } from '../../../shared/population/shared-learning.ts';
import { personalize } from '../../../shared/serving/personalize.ts';
import { SETTINGS } from '../../support/container.ts';
import { createDeployment, FORCED } from './deployment.ts';

const CLUSTERS = 8;
const settings = { ...SETTINGS, embeddingDim: 64 };
const random = createRandom('clicks');
const unit = (x: number[]) => {
  const norm = Math.hypot(...x);
  return x.map((value) => value / norm);
};
const direction = () => unit(Array.from({ length: settings.embeddingDim }, () => random.normal()));
const common = direction();
const centres = Array.from({ length: CLUSTERS }, direction);
/** Items in clusters around a common direction, like embeddings of sentences. */
const items = Array.from({ length: 320 }, (_, item) => {
  const noise = direction();
  return Float32Array.from(
    unit(centres[item % CLUSTERS]!.map((x, i) => x + 0.7 * noise[i]! + 0.5 * common[i]!)),
  );
});
const clusterOf = (item: number) => item % CLUSTERS;
/** The n-th pick of a user with one favourite cluster. */
const pickOf = (taste: number, n: number) => taste + CLUSTERS * n;

/**
 * A deployment in which users click 20 items of their cluster and, with `zeros`, ignore as many
 * others that they see.
 */
async function clicked({ zeros = false, users = 40 }: { zeros?: boolean; users?: number } = {}) {
  const deployment = await createDeployment({ withBasis: false, settings });
  const { learning, adapters, episodes, services, clock, pass } = deployment;
  const basis = basisFromEmbeddings(items, { rank: settings.rank, scalingFactor: 1, seed: 1 });
  await learning.basis.refresh();
  await learning.basis.write({ basis, embeddingModel: settings.embeddingModel });
  const click = async (userId: string, taste: number, count: number, rewards = [1, 1, 1, 1, 1], from = 0) => {
    const key = userKey(userId);
    for (let n = from; n < from + count; n += 5) {
      const shown = Array.from({ length: 5 }, (_, i) => pickOf(taste, n + i));
      const ignored =
        zeros || rewards.length > 5
          ? shown.map((item) => (item + 1 + (n % (CLUSTERS - 1))) % items.length)
          : [];
      const loaded = await adapters.load(key);
      const event = {
        schemaVersion: 1,
        eventId: `${n}`,
        userId,
        occurredAt: '2026-01-01T00:00:00Z',
        interactions: [...shown, ...ignored].map((item, i) => ({
          itemId: `${item}`,
          embedding: items[item]!,
          reward: rewards[i] ?? 0,
        })),
      } as const;
      clock.time += 10;
      const { adapter } = applyEvents(
        loaded?.adapter,
        [event],
        await readSharedLearning(learning, settings),
        {
          userKey: key,
          settings,
          now: clock.time,
        },
      );
      await adapters.commit(adapter!, loaded?.etag);
      await episodes.store(adapter!.lastEpisode!);
    }
  };
  for (let user = 0; user < users; user++) await click(`user ${user}`, user % CLUSTERS, 20);
  const ask = (userId: string): Promise<PersonalizeAnswer> =>
    personalize(
      {
        userId,
        candidates: items.map((embedding, item) => ({ itemId: `${item}`, embedding })),
        answer: 'scores',
        explain: true,
      },
      {
        settings,
        adapters,
        cache: new AdapterCache(),
        learning: () => readSharedLearning(learning, settings),
        freshLearning: () => readSharedLearning(learning, settings, 'refresh'),
        neighbours: () => learning.neighbours.refresh(),
      },
    );
  const run = () => {
    pass(1);
    return consolidate(services, FORCED);
  };
  return { ...deployment, click, ask, run };
}

/**
 * Probability that the user's part ranks an unseen item of the user's cluster above one of another
 * cluster.
 */
function auc({ items: scored }: PersonalizeAnswer, taste: number, seen: number): number {
  const user = (item: unknown) => (item as ScoredItem).parts!.user;
  const unseen = scored.filter(({ index }) => clusterOf(index) !== taste || index >= pickOf(taste, seen));
  const own = unseen.filter(({ index }) => clusterOf(index) === taste).map(user);
  const others = unseen.filter(({ index }) => clusterOf(index) !== taste).map(user);
  const wins = own.flatMap((a) => others.map((b) => (a > b ? 1 : a === b ? 0.5 : 0)));
  return wins.reduce<number>((sum, win) => sum + win, 0) / wins.length;
}

describe('feedback with clicks only', () => {
  test.each([{ zeros: false }, { zeros: true }])(
    'keeps its personalisation over consolidation, and teaches new users ($zeros)',
    async ({ zeros }) => {
      const { ask, click, run, learning } = await clicked({ zeros });
      expect(auc(await ask('user 3'), 3, 20)).toBeGreaterThan(0.99);
      for (let times = 0; times < 2; times++) {
        expect(await run()).toMatchObject({
          status: times === 0 ? 'consolidated' : 'nothing-new',
          learnsFrom: zeros ? 'rewards' : 'picks',
          learnsAnew: times === 0 && !zeros,
        });
      }
      expect((await learning.population.refresh())!.choice!.rewards === null).toBe(!zeros);
      const aucs = [];
      for (let user = 0; user < CLUSTERS; user++) aucs.push(auc(await ask(`user ${user}`), user, 20));
      expect(aucs.reduce((sum, one) => sum + one / aucs.length, 0)).toBeGreaterThan(0.998);
      await click('somebody new', 2, 5);
      expect(auc(await ask('somebody new'), 2, 5)).toBeGreaterThan(0.95);
    },
  );

  test('is served from the adapter, and popular items come first for a new user', async () => {
    const { ask, click, run } = await clicked();
    // All users of one cluster more than of the others make its first items popular.
    for (let user = 0; user < 10; user++) await click(`fan ${user}`, 5, 5);
    await run();
    expect((await ask('user 0')).source).toBe('adapter');
    const { source, items: scored } = await ask('nobody');
    expect(source).toBe('warm-start');
    const byItem = [...scored].sort((a, b) => (b as ScoredItem).parts!.item - (a as ScoredItem).parts!.item);
    expect(byItem.slice(0, 5).every(({ index }) => clusterOf(index) === 5)).toBe(true);
    const unseen = scored.find(({ index }) => index === pickOf(0, 30)) as ScoredItem;
    expect(unseen.parts!.item).toBe(0);
    expect(unseen.parts!.base).toBe(0);
  });

  test('teaches which items go together, beyond their embeddings', async () => {
    const { ask, click, run, learning } = await clicked();
    // Users who like cluster 1 also pick five items of cluster 6, which nobody else picks.
    for (let user = 0; user < 40; user++)
      if (user % CLUSTERS === 1) await click(`user ${user}`, 6, 5, undefined, 35);
    await run();
    expect((await learning.neighbours.refresh())!.keys.length).toBeGreaterThan(100);
    await click('somebody new', 1, 5);
    const { items: scored } = await ask('somebody new');
    const together = (index: number) =>
      (scored.find((item) => item.index === index) as ScoredItem).parts!.together;
    for (let n = 35; n < 40; n++) expect(together(pickOf(6, n))).toBeGreaterThan(0.2);
    expect(together(pickOf(6, 0))).toBeLessThan(0.05);
    expect(together(pickOf(1, 30))).toBe(0);
    for (const { score, parts } of scored as readonly ScoredItem[]) {
      const { base, popularity, item, together, user } = parts!;
      expect(base + popularity + item + together + user).toBeCloseTo(score, 9);
    }
  });

  test('counts every pick for the popularity of its item, before and after a consolidation', async () => {
    const { click, run, learning } = await clicked();
    const countOf = async (item: number) =>
      (await learning.population.refresh())!.items.sums.get(itemKey(`${item}`))?.count ?? 0;
    await run();
    // Five users like each of the eight clusters.
    expect(await countOf(pickOf(3, 0))).toBe(5);
    expect(await countOf(pickOf(3, 30))).toBe(0);
    // New users pick known items first, and then ten that nobody has picked.
    for (let user = 0; user < 16; user++) await click(`late ${user}`, user % CLUSTERS, 30);
    await run();
    for (let n = 0; n < 20; n++) expect(await countOf(pickOf(3, n))).toBe(7);
    for (let n = 20; n < 30; n++) expect(await countOf(pickOf(3, n))).toBe(2);
  });

  test('counts the picks of a user who picks popular and unpopular items alike', async () => {
    const { run, learning, adapters } = await clicked();
    await run();
    const { adapter } = (await adapters.load(userKey('user 3')))!;
    const recentItems = adapter.recentItems!;
    // As if every other item had been far more popular at the time of the pick.
    const sums = recentItems.sums.map((value, i) => (i % 6 === 2 ? 0.3 : value));
    const event = {
      schemaVersion: 1,
      eventId: 'later',
      userId: 'user 3',
      occurredAt: '2026-01-01T00:00:00Z',
      interactions: [30, 31].map((n) => ({
        itemId: `${pickOf(3, n)}`,
        embedding: items[pickOf(3, n)]!,
        reward: 1,
      })),
    } as const;
    const next = applyEvents(
      { ...adapter, recentItems: { ...recentItems, sums } },
      [event],
      await readSharedLearning(learning, settings),
      { userKey: userKey('user 3'), settings, now: 1 },
    );
    expect(next.adapter!.lastEpisode!.residuals.map((residual) => residual.itemKey)).toEqual(
      [30, 31].map((n) => itemKey(`${pickOf(3, n)}`)),
    );
  });

  test('is served with the previous lists of neighbours while the newest are damaged, until the next fit', async () => {
    const { ask, click, run, objects, learning } = await clicked();
    await run();
    const [key, { etag }] = [...objects.contents].find(([name]) => name.endsWith('.neighbours'))!;
    await objects.put(key, new Uint8Array(9), { ifMatch: etag });
    const together = async () =>
      (await ask('user 3')).items.filter((item) => (item as ScoredItem).parts!.together !== 0).length;
    expect(await together()).toBeGreaterThan(0);
    // A container that has read nothing yet uses the version before.
    const fresh = learningObjects(objects, settings);
    expect((await fresh.neighbours.read())!.keys.length).toBeGreaterThan(100);
    expect(fresh.neighbours.damage).toBeInstanceOf(CorruptObjectError);
    for (let user = 0; user < 40; user++) await click(`user ${user}`, user % CLUSTERS, 5, undefined, 20);
    await run();
    expect((await learning.neighbours.refresh())!.keys.length).toBeGreaterThan(100);
    expect(learning.neighbours.damage).toBeUndefined();
  });

  test('counts as consolidated when another run writes its lists first', async () => {
    const { services, run, learning } = await clicked();
    vi.spyOn(services.learning.neighbours, 'write').mockRejectedValueOnce(new ConflictError('a newer one'));
    const report = await run();
    expect(report).toMatchObject({ status: 'consolidated', skillsVersion: 1 });
    const why = 'another run wrote its lists first';
    expect(report.rejected).toContainEqual({ what: 'neighbours', why });
    expect((await learning.population.refresh())!.version).toBe(1);
  });

  test('is recognised once, and rewards that differ later as well', async () => {
    const { click, run } = await clicked();
    await click('first', 1, 5, [1, 0.5, 1, 0.5, 1]);
    for (let user = 0; user < 9; user++) await click(`other ${user}`, 1, 5, [1, 0.5, 1, 0.5, 1]);
    expect(await run()).toMatchObject({ learnsFrom: 'rewards', learnsAnew: false });
    for (let user = 0; user < 60; user++) await click(`later ${user}`, 1, 5);
    expect(await run()).toMatchObject({ learnsFrom: 'picks', learnsAnew: true });
    await click('user 0', 0, 5, undefined, 20);
    expect(await run()).toMatchObject({ learnsFrom: 'picks', learnsAnew: false });
    for (let user = 0; user < 40; user++) await click(`user ${user}`, 1, 5, [1, 0, 1, 0, 1], 25);
    expect(await run()).toMatchObject({ learnsFrom: 'rewards', learnsAnew: true });
  });

  test('that turns into ratings is learned as ratings again, without loss', async () => {
    const { ask, click, run, learning } = await clicked();
    await run();
    expect((await learning.population.refresh())!.choice!.rewards).toBeNull();
    for (let user = 0; user < 40; user++)
      await click(`user ${user}`, user % CLUSTERS, 5, [1, 0.8, 0.9, 0.7, 1, 0.2, 0.3, 0.1, 0.2, 0], 20);
    await run();
    const { mean, deviation } = (await learning.population.refresh())!.choice!.rewards!;
    expect(mean).toBeGreaterThan(0.7);
    expect(deviation).toBeGreaterThan(0.2);
    const { items: scored } = await ask('user 0');
    for (const { parts } of scored as readonly ScoredItem[]) {
      expect(parts).toMatchObject({ together: 0, popularity: 0 });
      expect(parts!.base).toBeGreaterThan(0.5);
    }
    expect(auc(await ask('user 0'), 0, 25)).toBeGreaterThan(0.95);
  });

  test('of a single user keeps the taste of that user', async () => {
    const { ask, run, learning } = await clicked({ users: 1 });
    const why = 'no two items were picked together by two users';
    expect((await run()).rejected).toContainEqual({ what: 'neighbours', why });
    expect(await learning.neighbours.refresh()).toBeUndefined();
    expect(auc(await ask('user 0'), 0, 20)).toBeGreaterThan(0.99);
  });
});
