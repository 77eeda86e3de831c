import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { applyEvents } from '../../../functions/update-adapters/apply-events.ts';
import { decodeAdapter, encodeAdapter, type StoredAdapter } from '../../../shared/adapters/adapter-object.ts';
import { RECENT_INTERACTIONS_KEPT } from '../../../shared/adapters/recent-interactions.ts';
import { KIND_BITS } from '../../../shared/adapters/recent-items.ts';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { itemKey } from '../../../shared/episodes/episode.ts';
import { fromItem, toItem } from '../../../shared/episodes/episode-item.ts';
import { PendingEpisodes } from '../../../shared/episodes/pending-episodes.ts';
import {
  encodeFeedbackEvent,
  type FeedbackEvent,
  type InteractionInput,
  parseFeedbackEvent,
} from '../../../shared/feedback/event.ts';
import { initialChoicePrior, prepareChoice } from '../../../shared/lora/choice.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { addEpisodes } from '../../../shared/population/episode-progress.ts';
import { initialPopulationModel } from '../../../shared/population/population-model.ts';
import { combine, type SharedLearning } from '../../../shared/population/shared-learning.ts';
import { createWorld, SETTINGS } from '../../support/container.ts';
import { ITEMS } from '../../support/feedback-events.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';

const { learning } = createWorld(ITEMS);
const basis = learning.basis!;
const OPTIONS = { userKey: 'a'.repeat(64), settings: SETTINGS, now: 1_000 };
const choiceOf = (rewards: { mean: number; deviation: number } | null): SharedLearning => {
  const tempering = { perPick: 0.5, saturation: 0.02 };
  const prior = initialChoicePrior(basis.moments!, 4);
  const choice = prepareChoice(prior, basis.moments!, tempering, rewards);
  return combine({ basis }, { ...initialPopulationModel(basis), version: 1, choice });
};
const KINDS: [string, SharedLearning][] = [
  ['rewards', learning],
  ['picks', choiceOf(null)],
  ['rewards, some of them picks', choiceOf({ mean: 0.5, deviation: 0.3 })],
  ['nothing yet, without a basis', combine(undefined, undefined)],
];

let made = 0;
/** A message of seconds after midnight, through its encoding. */
function at(
  seconds: number,
  ...interactions: (Partial<InteractionInput> & { item?: number })[]
): FeedbackEvent {
  const body = encodeFeedbackEvent({
    eventId: `e${made++}`,
    userId: 'ada',
    occurredAt: new Date(Date.UTC(2026, 0, 1) + 1_000 * seconds).toISOString(),
    interactions: interactions.map(({ item = 0, ...interaction }) => ({
      itemId: `item ${item}`,
      embedding: ITEMS[item]!,
      ...(interaction.watch === undefined ? { reward: 1 } : {}),
      ...interaction,
    })),
  });
  return parseFeedbackEvent(body, SETTINGS);
}

function apply(events: readonly FeedbackEvent[], shared = learning, settings = SETTINGS): StoredAdapter {
  let adapter: StoredAdapter | undefined;
  for (const event of events) {
    const next = applyEvents(adapter, [event], shared, { ...OPTIONS, settings }).adapter;
    adapter = next === undefined ? adapter : decodeAdapter(encodeAdapter(next), 'adapter');
  }
  return adapter!;
}

/** Every number of what was learned. */
function numbersOf({ state, recentItems, weights }: StoredAdapter): number[] {
  if (state.learner !== 'bayesian') return [];
  const { statistics, picks, record, buffered } = state;
  const { gram, moment, ...sums } = statistics;
  const { ranking } = picks!;
  const waiting = buffered.flatMap((interaction) =>
    'reward' in interaction ? [...interaction.embedding, interaction.reward, interaction.residualReward] : [],
  );
  return [
    ...gram,
    ...moment,
    ...Object.values(sums),
    ...picks!.sum,
    picks!.squares,
    ...Object.values(ranking),
    ...Object.values(record),
    ...waiting,
    ...recentItems!.sums,
    ...recentItems!.lastAt,
    ...weights.b,
    weights.offset,
  ];
}

function expectSame(a: StoredAdapter, b: StoredAdapter): void {
  const expected = numbersOf(b);
  const found = numbersOf(a);
  expect(found).toHaveLength(expected.length);
  found.forEach((value, i) => {
    expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-6 * (1 + Math.abs(expected[i]!)));
  });
}

describe.each(KINDS)('a later reward of the same interaction, with a model of %s', (_, shared) => {
  test('leaves what the last reward alone would have left, in whatever order rewards come', () => {
    fc.assert(
      fc.property(
        fc.integer(),
        fc.array(fc.constantFrom(0, 0.3, 0.7, 1), { minLength: 2, maxLength: 5 }),
        (seed, rewards) => {
          const random = createRandom(seed);
          const before = [at(0, { item: 2, reward: 0.4 }, { item: 1 }), at(1, { item: 3, reward: 0 })];
          const events = rewards.map((reward, i) => at(10 + i, { interactionId: 'shown 1', reward }));
          const last = at(9 + rewards.length, { interactionId: 'shown 1', reward: rewards.at(-1)! });
          const found = apply([...before, ...random.shuffle(events)], shared);
          expectSame(found, apply([...before, last], shared));
          expect(found.recentEvents).toHaveLength(2 + rewards.length);
        },
      ),
      { numRuns: 20 },
    );
  });

  test('leaves the same sums when other feedback came between', () => {
    const between = at(5, { item: 4, reward: 0.2 }, { item: 5 });
    const first = { interactionId: 'shown', reward: 0 };
    const corrected = apply([at(1, first), between, at(9, { ...first, reward: 1 })], shared);
    const once = apply([at(1, { ...first, reward: 1 }), between], shared);
    if (corrected.state.learner !== 'bayesian' || once.state.learner !== 'bayesian') throw new Error();
    const { state } = corrected;
    once.state.statistics.moment.forEach((value, i) => {
      expect(state.statistics.moment[i]).toBeCloseTo(value, 9);
    });
    once.state.picks!.sum.forEach((value, i) => {
      expect(state.picks!.sum[i]).toBeCloseTo(value, 9);
    });
    expect(state.statistics.rewardSum).toBeCloseTo(once.state.statistics.rewardSum, 12);
    expect(state.record.count).toBe(3);
  });
});

test('of rewards at the same time the larger counts, and of one event the last', () => {
  const rewardOf = (...events: FeedbackEvent[]) => apply(events).recentInteractions![0]!.reward;
  const name = { interactionId: 'a' };
  expect(rewardOf(at(1, { ...name, reward: 0 }), at(1, { ...name, reward: 0.6 }))).toBe(0.6);
  expect(rewardOf(at(1, { ...name, reward: 0.6 }), at(1, { ...name, reward: 0 }))).toBe(0.6);
  expect(rewardOf(at(1, { ...name, reward: 0.6 }, { ...name, reward: 0.2 }))).toBe(0.2);
  expect(rewardOf(at(1, { ...name, reward: 0.6 }), at(2, { ...name, reward: 0 }))).toBe(0);
  expect(rewardOf(at(2, { ...name, reward: 0.6 }), at(1, { ...name, reward: 0 }))).toBe(0.6);
});

test('an event that only corrects is one version, which counts no new reward', () => {
  const first = apply([at(1, { interactionId: 'a', reward: 0, recommendationId: 'list' })]);
  const event = at(2, { interactionId: 'a', watch: { completionRate: 1 }, recommendationId: 'list' });
  const { adapter, applied } = applyEvents(first, [event, event], learning, OPTIONS);
  expect(applied).toHaveLength(1);
  const key = itemKey('item 0');
  expect(adapter).toMatchObject({ version: 2, state: { record: { count: 1 } } });
  expect(adapter!.lastEpisode).toMatchObject({
    context: { interactions: 1, samplesSeen: 1 },
    outcome: { rewards: 0 },
    residuals: [],
    corrections: [{ itemKey: key }],
    attributions: [{ recommendationId: 'list', itemKey: key, reward: 0.5 }],
  });
  const { from, to } = adapter!.lastEpisode!.corrections![0]!;
  expect(to - from).toBeCloseTo(0.5, 6);
  expect(adapter!.recentItems!.kinds[0]).toBe(KIND_BITS.reward + KIND_BITS.watch);
  expect(adapter!.recentItems!.sums[0]).toBe(1);
  expect(adapter!.recentItems!.sums[1]).toBe(0.5);
});

test('an interaction with another item, without an id, or of the learner sgd is one of its own', () => {
  const count = (adapter: StoredAdapter) => adapter.state.record.count;
  const name = { interactionId: 'a' };
  expect(count(apply([at(1, name), at(2, { ...name, item: 1 })]))).toBe(2);
  expect(count(apply([at(1, {}), at(2, {})]))).toBe(2);
  expect(count(apply([at(1, name), at(2, name)], learning, { ...SETTINGS, learner: 'sgd' }))).toBe(2);
});

test('the latest 256 interactions with an id can be corrected; an earlier one counts as another', () => {
  const names = Array.from({ length: RECENT_INTERACTIONS_KEPT + 1 }, (_, i) => `shown ${i}`);
  const events = names.map((interactionId, i) => at(i, { interactionId, item: i % 8, reward: 0 }));
  const full = applyEvents(undefined, events, learning, OPTIONS).adapter!;
  expect(full.recentInteractions).toHaveLength(RECENT_INTERACTIONS_KEPT);
  const after = (name: number) =>
    applyEvents(full, [at(999, { interactionId: names[name]!, item: name % 8 })], learning, OPTIONS).adapter!
      .state.record.count;
  expect(after(1)).toBe(names.length);
  expect(after(0)).toBe(names.length + 1);
});

test('a reward that is corrected counts for its item as if it had come so', () => {
  const population = initialPopulationModel(basis);
  const itemsAfter = (...events: FeedbackEvent[]) => {
    let adapter: StoredAdapter | undefined;
    const found = events.map((event, i) => {
      adapter = applyEvents(adapter, [event], learning, OPTIONS).adapter!;
      return { episode: adapter.lastEpisode!, shard: 0, position: `${i}` };
    });
    return addEpisodes(population, found).items;
  };
  const name = { interactionId: 'a' };
  const corrected = itemsAfter(at(1, { ...name, reward: 0.5 }), at(2, { ...name, reward: 0.8 }));
  const { sum, count } = corrected.sums.get(itemKey('item 0'))!;
  expect(count).toBe(1);
  // The first reward told 0 of 0, and a third of the second is the user's own.
  expect(sum).toBeCloseTo(0.3, 6);
  expect(corrected.squares).toBeCloseTo(0.09, 6);
});

test('one user who corrects again and again moves an item no further than one correction does', () => {
  const population = initialPopulationModel(basis);
  const known = { sums: new Map([[7n, { sum: 0, count: 20 }]]), squares: 0, shrinkage: 20 };
  const { lastEpisode } = apply([at(1, {})]);
  const swings = Array.from({ length: 101 }, (_, i) => {
    const [from, to] = i % 2 === 0 ? [-1, 1] : [1, -1];
    const episode: Episode = {
      ...lastEpisode!,
      version: i + 1,
      residuals: [],
      corrections: [{ itemKey: 7n, from: from!, to: to! }],
    };
    return { episode, shard: 0, position: `${i}` };
  });
  const sumAfter = (count: number) =>
    addEpisodes({ ...population, items: known }, swings.slice(0, count)).items.sums.get(7n)!.sum;
  expect(sumAfter(1)).toBeCloseTo(0.05 * 25, 9);
  expect(sumAfter(101)).toBeCloseTo(sumAfter(1), 9);
});

test('corrections survive the table, the bucket and a lost bank', async () => {
  const { lastEpisode } = apply([
    at(1, { interactionId: 'a', reward: 0 }),
    at(2, { interactionId: 'a', reward: 1 }),
  ]);
  expect(lastEpisode!.corrections).toHaveLength(1);
  expect(fromItem(toItem(lastEpisode!, 1, 90))).toEqual(lastEpisode);
  const pending = new PendingEpisodes(new MemoryObjects());
  await pending.put(lastEpisode!);
  const [{ episode } = { episode: undefined }] = await Array.fromAsync(pending.list());
  expect(episode).toEqual(lastEpisode);
});

test('an interaction with a target has no id', () => {
  expect(() =>
    at(1, { interactionId: 'a', reward: undefined, target: ITEMS[1]! } as InteractionInput),
  ).toThrow('interactionId');
});

test('an interaction that can be corrected takes 88 bytes of the adapter', () => {
  const sizeWith = (named: boolean) => {
    const interactions = Array.from({ length: 100 }, (_, i) =>
      named ? { item: i % 8, interactionId: `shown ${i}` } : { item: i % 8 },
    );
    return encodeAdapter(apply([at(1, ...interactions)])).length;
  };
  const each = (sizeWith(true) - sizeWith(false)) / 100;
  expect(each).toBeGreaterThanOrEqual(88);
  expect(each).toBeLessThan(90);
});
