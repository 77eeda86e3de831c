import fc from 'fast-check';
import { expect, test } from 'vitest';
import { applyEvents } from '../../../functions/update-adapters/apply-events.ts';
import { decodeAdapter, encodeAdapter, type StoredAdapter } from '../../../shared/adapters/adapter-object.ts';
import { RECENT_EVENTS_KEPT } from '../../../shared/adapters/recent-events.ts';
import { PendingEpisodes } from '../../../shared/episodes/pending-episodes.ts';
import { parseFeedbackEvent } from '../../../shared/feedback/event.ts';
import { learnedBytes } from '../../chaos/oracle.ts';
import { createWorkload } from '../../chaos/workload.ts';
import { createWorld, SETTINGS } from '../../support/container.ts';
import { event, ITEMS } from '../../support/feedback-events.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';

const { learning } = createWorld(ITEMS);
const OPTIONS = { userKey: 'a'.repeat(64), settings: SETTINGS, now: 1_000 };

test('what is learned does not depend on how events were cut into updates, nor on passing through S3', () => {
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

test('the episode counts what its update applied, and predicts before it learns', () => {
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

test('events that were all applied before make no new version', () => {
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

test('a user starts anew under settings that what was learned does not fit, without forgetting what was applied', () => {
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
  const { adapter } = applyEvents(wild, [event('e2')], learning, OPTIONS);
  const residuals = adapter!.lastEpisode!.residuals.map(({ residual }) => residual);
  expect(residuals.length).toBeGreaterThan(0);
  expect(residuals.every((residual) => Math.abs(residual) === 1)).toBe(true);
});

function before(first: ReturnType<typeof event>): StoredAdapter {
  return applyEvents(undefined, [first], learning, OPTIONS).adapter!;
}

/** Sums of somebody who is expected to give everything a reward far outside [0, 1]. */
function wildState({ state }: StoredAdapter): StoredAdapter['state'] {
  if (state.learner !== 'bayesian') throw new Error('expected the default learner');
  return {
    ...state,
    statistics: { ...state.statistics, moment: state.statistics.moment.map((value) => value * 1e6) },
  };
}

test('the episode says when its user is held out, also passed through S3, and says nothing of all others', async () => {
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
