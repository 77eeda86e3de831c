import fc from 'fast-check';
import { expect, test } from 'vitest';
import { applyEvents } from '../../../functions/update-adapters/apply-events.ts';
import { decodeAdapter, encodeAdapter, type StoredAdapter } from '../../../shared/adapters/adapter-object.ts';
import { RECENT_EVENTS_KEPT } from '../../../shared/adapters/recent-events.ts';
import { KIND_BITS, NO_RECENT_ITEMS } from '../../../shared/adapters/recent-items.ts';
import { itemKey } from '../../../shared/episodes/episode.ts';
import { fromItem, toItem } from '../../../shared/episodes/episode-item.ts';
import { PendingEpisodes } from '../../../shared/episodes/pending-episodes.ts';
import { parseFeedbackEvent } from '../../../shared/feedback/event.ts';
import { initialChoicePrior, prepareChoice } from '../../../shared/lora/choice.ts';
import { combine } from '../../../shared/population/shared-learning.ts';
import { upliftOf } from '../../../shared/population/uplift.ts';
import { learnedBytes } from '../../chaos/oracle.ts';
import { createWorkload } from '../../chaos/workload.ts';
import { createWorld, SETTINGS } from '../../support/container.ts';
import { event, ITEMS } from '../../support/feedback-events.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';

const { learning } = createWorld(ITEMS);
const OPTIONS = { userKey: 'a'.repeat(64), settings: SETTINGS, now: 1_000 };

test('the learned state does not depend on how events were split into updates, nor on passing through S3', () => {
  fc.assert(
    fc.property(fc.integer(), fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 12 }), (seed, cuts) => {
      const { messages } = createWorkload({ seed, events: 20, users: 1, ...SETTINGS });
      const events = messages.flatMap(({ body, fate }) =>
        typeof fate === 'object' ? [] : [parseFeedbackEvent(body, SETTINGS)],
      );
      const whole = applyEvents(undefined, events, learning, OPTIONS).adapter!;
      let cut: StoredAdapter | undefined;
      for (let at = 0, i = 0; at < events.length; i++) {
        const size = cuts[i] ?? 1;
        const applied = applyEvents(cut, events.slice(at, at + size), learning, { ...OPTIONS, now: i });
        if (applied.adapter !== undefined) cut = decodeAdapter(encodeAdapter(applied.adapter), 'cut');
        at += size;
      }
      expect(learnedBytes(cut!, learning)).toBe(learnedBytes(whole, learning));
    }),
    { numRuns: 30 },
  );
});

test('the episode counts the applied interactions, and predicts before it learns', () => {
  const first = applyEvents(undefined, [event('e1'), event('e1'), event('e2')], learning, OPTIONS);
  expect(first.duplicates.map(({ eventId }) => eventId)).toEqual(['e1']);
  expect(first.adapter?.lastEpisode).toMatchObject({
    version: 1,
    committedAt: 1_000,
    context: { events: 2, interactions: 2, samplesSeen: 0 },
    outcome: { rewards: 2, meanReward: 1 },
  });
  const second = applyEvents(first.adapter, [event('e3')], learning, OPTIONS);
  expect(second.adapter?.lastEpisode).toMatchObject({ version: 2, context: { samplesSeen: 2 } });
  expect(second.adapter!.lastEpisode!.outcome.loss).toBeLessThan(first.adapter!.lastEpisode!.outcome.loss);
});

test('an event with 40 interactions shows that learning helped, as 40 events do', () => {
  const likes = (embedding: Float32Array) => embedding[1]! > 0.5 || embedding[2]! > 0.5;
  const history = (userId: string) => {
    const interactions = Array.from({ length: 40 }, (_, i) => {
      const embedding = ITEMS[i % 4]!;
      return { embedding, reward: likes(embedding) ? 1 : 0 };
    });
    return { ...event('bulk', { userId }), interactions };
  };
  const episodes = ['a', 'b', 'c'].map((user) => {
    const options = { ...OPTIONS, userKey: user.repeat(64) };
    const { adapter } = applyEvents(undefined, [history(user)], learning, options);
    const { adapterLoss, userMeanLoss, warmStartLoss } = adapter!.state.record;
    expect(adapterLoss).toBeLessThan(0.5 * userMeanLoss);
    expect(adapterLoss).toBeLessThan(0.5 * warmStartLoss);
    return adapter!.lastEpisode!;
  });
  const { loss } = upliftOf(episodes);
  expect(loss.mean).toBeLessThan(-0.5);
});

test('the sums do not depend on how events were split into chunks, or interactions into events', () => {
  const rewards = ITEMS.slice(0, 12).map((embedding, i) => ({ embedding, reward: (i % 3) / 2 }));
  const targets = ITEMS.slice(0, 4).map((embedding, i) => ({ embedding, target: ITEMS[i + 1]! }));
  const learned = (...events: (typeof rewards | typeof targets | (typeof rewards)[number][])[]) => {
    const all = events.map((interactions, i) => ({ ...event(`e${i}`), interactions }));
    const { state } = applyEvents(undefined, all as never, learning, OPTIONS).adapter!;
    return state.learner === 'bayesian' ? state : undefined;
  };
  const whole = learned(rewards)!;
  const cut = learned(rewards.slice(0, 7), rewards.slice(7))!;
  expect(cut.statistics).toEqual(whole.statistics);
  expect(cut.picks!.sum).toEqual(whole.picks!.sum);
  // Targets of the same event do not explain its rewards, at any position.
  const mixed = learned([...targets, ...rewards] as typeof rewards)!;
  expect(mixed.statistics).toEqual(whole.statistics);
  expect(mixed.targets).toEqual(learned(targets)!.targets);
});

test('duplicate events alone make no new version', () => {
  const { adapter } = applyEvents(undefined, [event('e1')], learning, OPTIONS);
  const again = applyEvents(adapter, [event('e1')], learning, OPTIONS);
  expect(again).toMatchObject({ adapter: undefined, applied: [] });
  expect(again.duplicates).toHaveLength(1);
});

test('the newest two thousand events are remembered, in order, and at least 1,024', () => {
  expect(RECENT_EVENTS_KEPT).toBeGreaterThanOrEqual(1_024);
  let adapter: StoredAdapter | undefined;
  for (let n = 0; n < RECENT_EVENTS_KEPT + 30; n += 10) {
    const events = Array.from({ length: 10 }, (_, i) => event(`e${n + i}`));
    adapter = applyEvents(adapter, events, learning, OPTIONS).adapter;
  }
  expect(adapter?.recentEvents).toHaveLength(RECENT_EVENTS_KEPT);
  expect(applyEvents(adapter, [event('e40')], learning, OPTIONS).duplicates).toHaveLength(1);
  expect(applyEvents(adapter, [event('e0')], learning, OPTIONS).applied).toHaveLength(1);
});

test('a user starts anew when the learned state does not fit the settings, but applied events stay applied', () => {
  const before = applyEvents(undefined, [event('e1'), event('e2')], learning, OPTIONS).adapter!;
  for (const change of [{ embeddingModel: 'another' }, { scalingFactor: SETTINGS.scalingFactor * 2 }]) {
    const settings = { ...SETTINGS, ...change };
    const { adapter, duplicates } = applyEvents(before, [event('e2'), event('e3')], learning, {
      ...OPTIONS,
      settings,
    });
    expect(duplicates.map(({ eventId }) => eventId)).toEqual(['e2']);
    expect(adapter).toMatchObject({
      version: 2,
      createdAt: before.createdAt,
      embeddingModel: settings.embeddingModel,
    });
    expect(adapter!.state.record.count).toBe(1);
  }
});

test('no user can move an item by more than a reward can', () => {
  const far = event('e1');
  const wild = { ...before(far), state: wildState(before(far)) };
  const { adapter } = applyEvents(
    { ...wild, recentItems: NO_RECENT_ITEMS },
    [event('e2')],
    learning,
    OPTIONS,
  );
  const residuals = adapter!.lastEpisode!.residuals.map(({ residual }) => residual);
  expect(residuals.length).toBeGreaterThan(0);
  expect(residuals.every((residual) => Math.abs(residual) === 1)).toBe(true);
});

function before(first: ReturnType<typeof event>): StoredAdapter {
  return applyEvents(undefined, [first], learning, OPTIONS).adapter!;
}

/** Sums of a user whose predicted rewards are far outside [0, 1]. */
function wildState({ state }: StoredAdapter): StoredAdapter['state'] {
  if (state.learner !== 'bayesian') throw new Error('expected the default learner');
  return {
    ...state,
    statistics: { ...state.statistics, moment: state.statistics.moment.map((value) => value * 1e6) },
  };
}

test('the episode of a held-out user says so, also after S3, and others do not', async () => {
  const of = (holdout: number) =>
    applyEvents(undefined, [event('e1')], learning, {
      ...OPTIONS,
      settings: { ...SETTINGS, holdout },
    }).adapter!;
  expect(of(0).lastEpisode).not.toHaveProperty('heldOut');
  const heldOut = of(1);
  expect(heldOut.lastEpisode).toMatchObject({ heldOut: true });
  expect(decodeAdapter(encodeAdapter(heldOut), 'held out')).toEqual(heldOut);
  const pending = new PendingEpisodes(new MemoryObjects());
  await pending.put(heldOut.lastEpisode!);
  const [waiting] = await Array.fromAsync(pending.list());
  expect(waiting!.episode).toEqual(heldOut.lastEpisode);
});

test('interacted items and their recommendations are recorded, also through S3, pending and DynamoDB', async () => {
  const [first, second] = ITEMS;
  const interactions = [
    { itemId: 'a', embedding: first!, reward: 0.5, recommendationId: 'r1' },
    { itemId: 'b', embedding: second!, reward: 1, watched: true as const },
    { itemId: 'a', embedding: first!, target: second!, recommendationId: 'r2' },
    { embedding: first!, reward: 1, recommendationId: 'r3' },
  ];
  const met = { ...event('e1'), occurredAt: '1970-01-01T00:10:00Z', interactions };
  const { adapter } = applyEvents(undefined, [met], learning, OPTIONS);
  const stored = decodeAdapter(encodeAdapter(adapter!), 'adapter');
  expect(stored.recentItems).toEqual({
    keys: BigUint64Array.of(itemKey('b'), itemKey('a')),
    lastAt: Uint32Array.of(600, 600),
    kinds: Uint8Array.of(KIND_BITS.watch, KIND_BITS.reward | KIND_BITS.target),
    sums: Float32Array.of(1, 1, 0, 1, 0.5, 0),
  });
  const attributions = [
    { recommendationId: 'r1', itemKey: itemKey('a'), reward: 0.5 },
    { recommendationId: 'r2', itemKey: itemKey('a'), reward: null },
  ];
  expect(stored.lastEpisode!.attributions).toEqual(attributions);
  const pending = new PendingEpisodes(new MemoryObjects());
  await pending.put(stored.lastEpisode!);
  for await (const { episode } of pending.list()) expect(episode).toEqual(stored.lastEpisode);
  expect(fromItem(toItem(stored.lastEpisode!, 1, 90)).attributions).toEqual(attributions);
});

test('an episode keeps the newest 256 attributions', () => {
  const [embedding] = ITEMS;
  const interactions = Array.from({ length: 100 }, (_, i) => ({
    itemId: `item-${i}`,
    embedding: embedding!,
    reward: 1,
    recommendationId: `r${i}`,
  }));
  const events = ['e1', 'e2', 'e3'].map((id) => ({ ...event(id), interactions }));
  const { attributions } = applyEvents(undefined, events, learning, OPTIONS).adapter!.lastEpisode!;
  expect(attributions).toHaveLength(256);
  expect(attributions![0]!.recommendationId).toBe('r44');
});

/** An event of rewards for items by number. */
function rated(eventId: string, rewards: readonly (readonly [item: number, reward: number])[]) {
  return {
    schemaVersion: 1,
    eventId,
    userId: 'ada',
    occurredAt: '2026-01-01T00:00:00Z',
    interactions: rewards.map(([item, reward]) => ({
      itemId: `item ${item}`,
      embedding: ITEMS[item % ITEMS.length]!,
      reward,
    })),
  } as const;
}

test('a user counts once for an item, in one event, one update, or later', () => {
  const twice = rated('e1', [
    [1, 1],
    [1, 1],
  ]);
  const first = applyEvents(undefined, [twice, rated('e2', [[1, 1]])], learning, OPTIONS).adapter!;
  expect(first.lastEpisode!.residuals.map((each) => each.itemKey)).toEqual([itemKey('item 1')]);
  const again = rated('e3', [
    [1, 1],
    [2, 1],
  ]);
  const later = applyEvents(decodeAdapter(encodeAdapter(first), 'once'), [again], learning, OPTIONS).adapter!;
  expect(later.lastEpisode!.residuals.map((each) => each.itemKey)).toEqual([itemKey('item 2')]);
});

test('the part that all rewards of an event share counts for the user, and the rest for the items', () => {
  const { residuals } = applyEvents(
    undefined,
    [
      rated('e1', [
        [1, 0],
        [2, 0],
        [3, 0],
        [4, 0],
        [5, 0.5],
      ]),
    ],
    learning,
    OPTIONS,
  ).adapter!.lastEpisode!;
  const [first, , , , last] = residuals.map(({ residual }) => residual);
  const { meanReward } = learning.population.prior;
  // All fell short by the mean reward; five sevenths of the mean shortfall belong to the user.
  expect(first).toBeCloseTo(-meanReward + (5 * meanReward - 0.5) / 7, 6);
  expect(last! - first!).toBeCloseTo(0.5, 6);
});

test.each([
  [
    'a vote where most rewards are 0, as with clicks among items shown in vain',
    { mean: 0.2, deviation: 0.4 },
    1,
  ],
  ['no vote where rewards are ratings', { mean: 0.7, deviation: 0.2 }, 0],
])('a user whose rewards run against item effects has %s', (_, rewards, votes) => {
  const effects = [-9, 9, -9, 9, -9, 9].map((sum, i) => [itemKey(`item ${i}`), { sum, count: 30 }] as const);
  const moments = learning.basis!.moments!;
  const tempering = { perPick: 0.3, saturation: 0.03 };
  const choice = prepareChoice(initialChoicePrior(moments, 10), moments, tempering, rewards);
  const population = {
    ...learning.population,
    items: { ...learning.population.items, sums: new Map(effects) },
    choice,
  };
  const against = rated(
    'e1',
    effects.map(([, { sum }], i) => [i, sum < 0 ? 1 : 0]),
  );
  const later = rated('e2', [[7, 1]]);
  const known = combine({ basis: learning.basis! }, population);
  const { adapter } = applyEvents(undefined, [against], known, OPTIONS);
  const { lastEpisode } = applyEvents(adapter, [later], known, OPTIONS).adapter!;
  expect(lastEpisode!.residuals).toHaveLength(votes);
});
