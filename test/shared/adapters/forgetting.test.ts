import { expect, test } from 'vitest';
import { updateUser } from '../../../functions/update-adapters/update-user.ts';
import { adapterKey } from '../../../shared/adapters/adapter-store.ts';
import { buryUser, remainsOf, removeUser } from '../../../shared/adapters/forgetting.ts';
import { TOMBSTONE_DAYS } from '../../../shared/adapters/tombstone.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import { UnavailableError } from '../../../shared/errors.ts';
import { Container, createWorld } from '../../support/container.ts';
import { event, ITEMS } from '../../support/feedback-events.ts';
import { createRecords } from '../../support/records.ts';

type Records = Awaited<ReturnType<typeof createRecords>>;
const ADA = userKey('ada');
const BOB = userKey('bob');

/** Two versions, an episode in the bank, one pending and a quarantined message of each user. */
async function fill(records: Records, key: string) {
  const { learning, ...world } = createWorld(ITEMS);
  const services = { ...new Container({ learning, ...world }).services, ...records };
  await updateUser(key, [event('e1')], learning, services);
  await updateUser(key, [event('e2')], learning, services);
  const { adapter } = (await records.adapters.load(key))!;
  await records.pending.put({ ...adapter.lastEpisode!, version: 7 });
  await records.pending.remove(`pending/${key}/7`);
  await records.pending.put({ ...adapter.lastEpisode!, version: 8 });
  await records.quarantine.put({
    messageId: 'm1',
    userKey: key,
    code: 'schema',
    reason: 'reason',
    messageGroupId: key,
    sentAt: 1,
    quarantinedAt: 2,
    body: '{}',
  });
}

test('forgetting leaves only a tombstone, reports what it removed, and spares other users', async () => {
  const records = await createRecords();
  await fill(records, ADA);
  await fill(records, BOB);
  expect(await remainsOf(ADA, records)).toEqual([
    'the adapter, version 2',
    '1 earlier versions of the adapter',
    '2 episodes',
    '3 versions of pending episodes',
    '1 versions of quarantined messages',
  ]);
  const tombstone = await buryUser(ADA, records, 1_000);
  expect(tombstone).toEqual({
    userKey: ADA,
    forgottenAt: 1_000,
    expiresAt: 1_000 + TOMBSTONE_DAYS * 86_400_000,
  });
  expect(await removeUser(ADA, records)).toEqual({
    adapterVersions: 2,
    episodes: 2,
    pendingEpisodes: 3,
    quarantined: 1,
  });
  expect(await remainsOf(ADA, records)).toEqual([]);
  expect((await records.adapters.find(ADA)).tombstone).toEqual(tombstone);
  expect(await remainsOf(BOB, records)).toHaveLength(5);
});

test('forgetting twice changes nothing; after the tombstone has expired there is a new one', async () => {
  const records = await createRecords();
  const first = await buryUser(ADA, records, 1_000);
  expect(await buryUser(ADA, records, 2_000)).toEqual(first);
  expect(await removeUser(ADA, records)).toEqual({
    adapterVersions: 0,
    episodes: 0,
    pendingEpisodes: 0,
    quarantined: 0,
  });
  const later = first.expiresAt + 1;
  expect(await buryUser(ADA, records, later)).toMatchObject({ forgottenAt: later });
});

test('repeating a forget after a crash completes it', async () => {
  for (let crashAt = 0; crashAt < 6; crashAt++) {
    const records = await createRecords();
    await fill(records, ADA);
    await buryUser(ADA, records, 1_000);
    let removals = 0;
    const objects = {
      versionsUnder: (prefix: string) => records.objects.versionsUnder(prefix),
      delete: async (key: string, options: { versionId?: string }) => {
        if (removals++ === crashAt) throw new UnavailableError('gone');
        await records.objects.delete(key, options);
      },
    };
    await expect(removeUser(ADA, { ...records, objects })).rejects.toThrow('gone');
    await removeUser(ADA, records);
    expect(await remainsOf(ADA, records)).toEqual([]);
    expect((await records.adapters.find(ADA)).tombstone).toBeDefined();
  }
});

test('a tombstone wins against a running commit', async () => {
  const records = await createRecords();
  await fill(records, ADA);
  const { adapter, etag } = (await records.adapters.load(ADA))!;
  let raced = false;
  const adapters = Object.assign(Object.create(records.adapters) as Records['adapters'], {
    find: async (key: string) => {
      const place = await records.adapters.find(key);
      if (!raced) {
        raced = true;
        await records.adapters.commit({ ...adapter, version: 3 }, etag);
      }
      return place;
    },
    bury: records.adapters.bury.bind(records.adapters),
  });
  await buryUser(ADA, { adapters }, 1_000);
  expect((await records.adapters.find(ADA)).tombstone).toBeDefined();
  expect((await Array.fromAsync(records.objects.versions(adapterKey(ADA)))).length).toBe(4);
});
