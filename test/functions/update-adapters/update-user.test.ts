import { beforeEach, describe, expect, test, vi } from 'vitest';
import { updateUser } from '../../../functions/update-adapters/update-user.ts';
import type { StoredAdapter } from '../../../shared/adapters/adapter-object.ts';
import { eventKey } from '../../../shared/adapters/recent-events.ts';
import { PREFIX } from '../../../shared/config/names.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { ConflictError, UnavailableError } from '../../../shared/errors.ts';
import type { FeedbackEvent } from '../../../shared/feedback/event.ts';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { carryOversTo } from '../../../shared/lora/carry-over.ts';
import { sampleOfUpdate } from '../../../shared/population/embedding-sample.ts';
import { combine } from '../../../shared/population/shared-learning.ts';
import { Container, createWorld, type Fault, SETTINGS, type World } from '../../support/container.ts';
import { event, ITEMS } from '../../support/feedback-events.ts';

const ADA = userKey('ada');
let world: World;

beforeEach(() => {
  world = createWorld(ITEMS);
});

/** A container whose calls fail in this order; each entry names the call that it applies to. */
function container(...script: [call: string, fault: Fault][]): Container {
  return new Container(world, (call) => {
    if (script[0]?.[0] !== call) return 'none';
    return script.shift()![1];
  });
}

function update(on: Container, ...events: FeedbackEvent[]) {
  return updateUser(ADA, events, world.learning, on.services);
}

async function stored(): Promise<StoredAdapter> {
  return (await world.adapters.load(ADA))!.adapter;
}

async function versionsInBank(): Promise<number[]> {
  return (await Array.fromAsync(world.episodes.ofUser(ADA))).map(({ episode }) => episode.version);
}

describe('round trips', () => {
  test('a cold update reads once, writes once, and stores one episode', async () => {
    const cold = container();
    await update(cold, event('e1'), event('e2'));
    expect(cold.calls).toEqual(['get adapters/', 'put adapters/', 'store episode']);
  });

  test('a warm update reads nothing', async () => {
    const warm = container();
    await update(warm, event('e1'));
    warm.calls.length = 0;
    await update(warm, event('e2'));
    expect(warm.calls).toEqual(['put adapters/', 'store episode']);
  });
});

describe('a commit that lost a race', () => {
  test('is repeated on the version that the winner wrote', async () => {
    const stale = container();
    await update(stale, event('e1'));
    await update(container(), event('e2'));
    await update(stale, event('e3'));
    expect([...(await stored()).recentEvents]).toEqual(['e1', 'e2', 'e3'].map(eventKey));
    expect(stale.conflicts).toBe(1);
  });

  test('stores the episode of a winner that died before it could', async () => {
    const stale = container();
    await update(stale, event('e1'));
    const dying = container(['store episode', 'kill-before']);
    void update(dying, event('e2'));
    await dying.killed;
    await update(stale, event('e3'));
    expect(await versionsInBank()).toEqual([1, 2, 3]);
  });

  test('fails after six attempts, and the cache keeps nothing', async () => {
    const unlucky = container(
      ...Array.from({ length: 6 }, (): [string, Fault] => ['put adapters/', 'conflict']),
    );
    await expect(update(unlucky, event('e1'))).rejects.toThrow(ConflictError);
    expect(unlucky.conflicts).toBe(5);
    expect(unlucky.services.cache.get(ADA)).toBeUndefined();
  });

  test('drops the cached adapter when the write failed, because it may have taken effect', async () => {
    const on = container();
    await update(on, event('e1'));
    const known = on.services.cache.get(ADA);
    const failing = container(['put adapters/', 'lost']);
    failing.services.cache.set(ADA, known!);
    await expect(update(failing, event('e2'))).rejects.toThrow(UnavailableError);
    expect(failing.services.cache.get(ADA)).toBeUndefined();
    const { applied, duplicates } = await update(failing, event('e2'), event('e3'));
    expect([applied, duplicates].map((events) => events.map(({ eventId }) => eventId))).toEqual([
      ['e3'],
      ['e2'],
    ]);
  });
});

describe('an episode', () => {
  test('that the bank does not accept is stored in pending/', async () => {
    const on = container(['store episode', 'unavailable']);
    await update(on, event('e1'));
    expect(world.objects.documents<Episode>(PREFIX.pending).map(({ version }) => version)).toEqual([1]);
    expect(on.pendings).toBe(1);
  });

  test('that could not be stored anywhere fails the update, and the redelivery stores it', async () => {
    const on = container(['store episode', 'unavailable'], ['put pending/', 'unavailable']);
    await expect(update(on, event('e1'))).rejects.toThrow(UnavailableError);
    expect(await versionsInBank()).toEqual([]);
    const again = await update(on, event('e1'));
    expect(again.applied).toEqual([]);
    expect(await versionsInBank()).toEqual([1]);
    expect((await stored()).version).toBe(1);
  });
});

describe('a forgotten user', () => {
  const bury = async (expiresAt: number) => {
    const { etag } = await world.adapters.find(ADA);
    await world.adapters.bury({ userKey: ADA, forgottenAt: 500, expiresAt }, etag);
  };

  test('does not come back by a late event, even in a warm container', async () => {
    const warm = container();
    await update(warm, event('e1'));
    await bury(2_000);
    const { forgotten } = await update(warm, event('e2'));
    expect(forgotten.map(({ eventId }) => eventId)).toEqual(['e2']);
    expect((await world.adapters.find(ADA)).tombstone).toBeDefined();
  });

  test('leaves no episode behind when a warm container receives a known event', async () => {
    const warm = container();
    await update(warm, event('e1'));
    await bury(2_000);
    await world.episodes.forgetUser(ADA);
    await update(warm, event('e1'));
    expect(await versionsInBank()).toEqual([]);
  });

  test('starts anew with the first event after the tombstone has expired', async () => {
    await update(container(), event('e1'));
    await bury(1_000);
    const { applied } = await update(container(), event('e1'));
    expect(applied).toHaveLength(1);
    expect((await stored()).version).toBe(1);
  });
});

describe('a container that does not know the new basis yet', () => {
  const next = basisFromEmbeddings(ITEMS.slice(2), { rank: SETTINGS.rank, scalingFactor: 1, seed: 2 });

  test('reads the shared objects again instead of starting the user anew', async () => {
    await update(container(), event('e1'));
    const stale = container();
    const freshLearning = vi.fn(stale.services.freshLearning);
    const fresh = { ...stale.services, freshLearning };
    await updateUser(ADA, [event('e2')], combine({ basis: next }, undefined), fresh);
    await updateUser(ADA, [event('e3')], world.learning, fresh);
    expect(freshLearning).toHaveBeenCalledTimes(1);
    const { state } = await stored();
    expect(state).toMatchObject({ basisId: world.learning.basis!.id, statistics: { count: 3 } });
  });

  test('carries the adapter over, and commits it under the current basis', async () => {
    await update(container(), event('e1'));
    const carryOvers = carryOversTo(next, { basis: world.learning.basis! }, ITEMS);
    await updateUser(
      ADA,
      [event('e2')],
      combine({ basis: next, carryOvers }, undefined),
      container().services,
    );
    const { state, a, version } = await stored();
    expect(state).toMatchObject({ basisId: next.id, statistics: { count: 2, rewardSum: 2 } });
    expect([version, a]).toEqual([2, next.a]);
  });

  test('starts the user anew when the basis stays unknown: the version counts on, and events are not applied twice', async () => {
    await update(container(), event('e1'));
    const learning = combine({ basis: next }, undefined);
    const services = { ...container().services, freshLearning: async () => learning };
    const report = await updateUser(ADA, [event('e1'), event('e2')], learning, services);
    expect(report.duplicates).toHaveLength(1);
    const { state, version } = await stored();
    expect(version).toBe(2);
    expect(state).toMatchObject({ basisId: next.id, statistics: { count: 1 }, record: { count: 1 } });
  });

  test('starts the user anew when the basis belongs to other settings', async () => {
    await update(container(), event('e1'));
    const learning = { ...combine(undefined, undefined), hasBasis: true };
    const services = { ...container().services, freshLearning: async () => learning };
    await updateUser(ADA, [event('e2')], learning, services);
    const { state, version } = await stored();
    expect(version).toBe(2);
    expect(state).toMatchObject({ basisId: null, statistics: { count: 1 } });
    expect(state.learner === 'bayesian' && state.buffered).toHaveLength(1);
  });

  test('leaves the adapter unchanged when there is no basis at all', async () => {
    await update(container(), event('e1'));
    const nothing = combine(undefined, undefined);
    const services = { ...container().services, freshLearning: async () => nothing };
    const attempt = updateUser(ADA, [event('e2')], nothing, services);
    await expect(attempt).rejects.toThrow(UnavailableError);
    expect((await stored()).version).toBe(1);
  });
});

test('an episode that carries embeddings is the same when another container stores it', async () => {
  world.learning = { ...world.learning, samplesEmbeddings: true };
  let version = 0;
  while (sampleOfUpdate(ADA, version + 1, ITEMS).length === 0) version += 1;
  for (let n = 1; n <= version; n++) await update(container(), event(`e${n}`));
  const last = event('last', { item: 3 });
  const dying = container(['store episode', 'kill-before']);
  void update(dying, last);
  await dying.killed;
  await update(container(), last);
  const { episode } = (await Array.fromAsync(world.episodes.ofUser(ADA))).at(-1)!;
  const unit = ITEMS[3]!.map((value) => value / Math.hypot(...ITEMS[3]!));
  expect(episode).toMatchObject({ version: version + 1, embeddings: [Float16Array.from(unit)] });
  expect((await stored()).lastEpisode).toEqual(episode);

  const { pending } = container().services;
  await pending.put({ ...episode, version: 99 });
  const [waiting] = await Array.fromAsync(pending.list());
  expect(waiting!.episode).toEqual({ ...episode, version: 99 });
});
