import { expect, test } from 'vitest';
import { newcomersLoss } from '../../cli/replay/newcomers.ts';
import { userKey } from '../../shared/config/user-key.ts';
import type { Outcome } from '../../shared/episodes/episode.ts';
import { InMemoryEpisodeStore } from '../../shared/episodes/in-memory-episode-store.ts';

const event = (userId: string) => ({ eventId: userId, userId, occurredAt: '', interactions: [] });
const rounds = [
  [event('first'), event('second')],
  [event('third'), event('second'), event('fourth')],
];

async function storeWith(outcomes: readonly (readonly [string, number, Partial<Outcome>])[]) {
  const store = new InMemoryEpisodeStore();
  for (const [userId, version, outcome] of outcomes) {
    await store.store({
      userKey: userKey(userId),
      version,
      cell: 'cell',
      committedAt: 0,
      context: { events: 1, interactions: 5, samplesSeen: 0, skillsVersion: 0 },
      outcome: {
        rewards: 5,
        meanReward: 0,
        loss: 0,
        lossWithoutAdapter: 0,
        lossOfWarmStart: 0,
        ...outcome,
      },
      residuals: [],
    });
  }
  return store;
}

test('new users are the second half of the users, in the order of arrival', async () => {
  const store = await storeWith([
    ['first', 1, { loss: 9, lossWithoutAdapter: 9 }],
    ['fourth', 1, { loss: 0.1, lossWithoutAdapter: 0.4 }],
    ['third', 1, { loss: 0.3, lossWithoutAdapter: 0.2 }],
  ]);
  expect(await newcomersLoss({ rounds }, store)).toEqual({
    users: 2,
    loss: 0.2,
    lossWithoutAdapter: expect.closeTo(0.3, 12),
    losses: [0.3, 0.1],
  });
});

test('the first fifty rewards of a new user count, however they were split into updates', async () => {
  const store = await storeWith([
    ['third', 1, { rewards: 10, loss: 0.5 }],
    ['third', 2, { rewards: 40, loss: 0.1 }],
    ['third', 3, { rewards: 5, loss: 100 }],
  ]);
  expect((await newcomersLoss({ rounds }, store)).losses).toEqual([expect.closeTo(0.18, 12), null]);
});

test('a user without rewards has no loss, but keeps the position in the list', async () => {
  const store = await storeWith([
    ['third', 1, { rewards: 0 }],
    ['fourth', 1, { loss: 0.1, lossWithoutAdapter: 0.4 }],
  ]);
  expect(await newcomersLoss({ rounds }, store)).toEqual({
    users: 1,
    loss: 0.1,
    lossWithoutAdapter: 0.4,
    losses: [null, 0.1],
  });
});

test('without users there is no loss', async () => {
  expect(await newcomersLoss({ rounds: [] }, new InMemoryEpisodeStore())).toEqual({
    users: 0,
    loss: null,
    lossWithoutAdapter: null,
    losses: [],
  });
});
