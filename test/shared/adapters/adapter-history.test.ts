import { expect, test } from 'vitest';
import { applyEvents } from '../../../functions/update-adapters/apply-events.ts';
import { adapterHistory, rollBack } from '../../../shared/adapters/adapter-history.ts';
import type { StoredAdapter } from '../../../shared/adapters/adapter-object.ts';
import { adapterKey } from '../../../shared/adapters/adapter-store.ts';
import { eventKey } from '../../../shared/adapters/recent-events.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import { InvalidInputError, NotFoundError } from '../../../shared/errors.ts';
import { createWorld, SETTINGS } from '../../support/container.ts';
import { event, ITEMS } from '../../support/feedback-events.ts';
import { createRecords } from '../../support/records.ts';

const ADA = userKey('ada');
const { learning } = createWorld(ITEMS);

/** Commits one event per version. */
async function commitVersions(records: Awaited<ReturnType<typeof createRecords>>, count: number) {
  const made: StoredAdapter[] = [];
  for (let n = 1; n <= count; n++) {
    const place = await records.adapters.find(ADA);
    const { adapter } = applyEvents(place.adapter, [event(`e${n}`, { item: n })], learning, {
      userKey: ADA,
      settings: SETTINGS,
      now: n * 1_000,
    });
    await records.adapters.commit(adapter!, place.etag);
    made.push(adapter!);
  }
  return made;
}

test('the history has every version with its bytes, newest first', async () => {
  const records = await createRecords();
  const made = await commitVersions(records, 3);
  const history = await Array.fromAsync(adapterHistory(ADA, records.objects));
  expect(history.map(({ adapter }) => adapter)).toEqual(made.toReversed());
});

test('a rollback is a new version with the old weights that still knows every event', async () => {
  const records = await createRecords();
  const [first, , third] = await commitVersions(records, 3);
  const rolledBack = await rollBack(ADA, 1, records, 9_000);
  const stored = (await records.adapters.load(ADA))!.adapter;
  expect(stored).toEqual(rolledBack);
  expect(stored).toMatchObject({ version: 4, createdAt: 1_000, updatedAt: 9_000 });
  expect(stored.weights).toEqual(first!.weights);
  expect(stored.state).toEqual(first!.state);
  expect([...stored.recentEvents]).toEqual(['e1', 'e2', 'e3'].map(eventKey));
  // Its episode may not have reached the bank yet.
  expect(stored.lastEpisode).toEqual(third!.lastEpisode);
});

test('later events continue from the old weights, and undone events stay undone', async () => {
  const records = await createRecords();
  const [first] = await commitVersions(records, 3);
  await rollBack(ADA, 1, records, 9_000);
  const { adapter } = (await records.adapters.load(ADA))!;
  const options = { userKey: ADA, settings: SETTINGS, now: 10_000 };
  const next = applyEvents(adapter, [event('e2', { item: 2 }), event('e4', { item: 4 })], learning, options);
  const without = applyEvents(first, [event('e4', { item: 4 })], learning, options);
  expect(next.duplicates.map(({ eventId }) => eventId)).toEqual(['e2']);
  expect(next.adapter!.state).toEqual(without.adapter!.state);
  expect(next.adapter!.version).toBe(5);
});

test('a rollback in a race with a commit keeps the committed event known', async () => {
  const records = await createRecords();
  await commitVersions(records, 2);
  let raced = false;
  const racing = {
    ...records,
    objects: {
      versions: (key: string) => records.objects.versions(key),
      get: async (key: string, options?: { versionId?: string }) => {
        const found = await records.objects.get(key, options);
        if (!raced) {
          raced = true;
          const place = await records.adapters.find(ADA);
          const { adapter } = applyEvents(place.adapter, [event('e3')], learning, {
            userKey: ADA,
            settings: SETTINGS,
            now: 3_000,
          });
          await records.adapters.commit(adapter!, place.etag);
        }
        return found;
      },
    },
  };
  const { version, recentEvents } = await rollBack(ADA, 1, racing, 9_000);
  expect(version).toBe(4);
  expect([...recentEvents]).toEqual(['e1', 'e2', 'e3'].map(eventKey));
});

test('a damaged newest version can be rolled back', async () => {
  const records = await createRecords();
  const [first, second] = await commitVersions(records, 2);
  const { etag } = await records.adapters.find(ADA);
  await records.objects.put(adapterKey(ADA), Buffer.from('damaged'), { ifMatch: etag! });
  const rolledBack = await rollBack(ADA, 1, records, 9_000);
  expect(rolledBack).toMatchObject({ version: 4, lastEpisode: second!.lastEpisode });
  expect((await records.adapters.load(ADA))?.adapter.weights).toEqual(first!.weights);
});

test('a rollback to the newest, a later, an expired version, or without an adapter fails', async () => {
  const records = await createRecords();
  await expect(rollBack(ADA, 1, records, 9_000)).rejects.toThrow(NotFoundError);
  await commitVersions(records, 2);
  await expect(rollBack(ADA, 2, records, 9_000)).rejects.toThrow(InvalidInputError);
  await expect(rollBack(ADA, 3, records, 9_000)).rejects.toThrow('a version before 2, the newest');
  const oldest = (await Array.fromAsync(adapterHistory(ADA, records.objects))).at(-1)!;
  await records.objects.delete(adapterKey(ADA), { versionId: oldest.versionId });
  await expect(rollBack(ADA, 1, records, 9_000)).rejects.toThrow(NotFoundError);
});
