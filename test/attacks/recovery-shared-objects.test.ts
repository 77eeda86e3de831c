import { describe, expect, test } from 'vitest';
import { consolidate } from '../../functions/consolidate-patterns/consolidate.ts';
import { updateUser } from '../../functions/update-adapters/update-user.ts';
import { AdapterCache } from '../../shared/adapters/adapter-cache.ts';
import { adapterKey } from '../../shared/adapters/adapter-store.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { cellOf } from '../../shared/episodes/episode.ts';
import type { CorruptObjectError } from '../../shared/errors.ts';
import { basisFromEmbeddings } from '../../shared/lora/basis.ts';
import { learningObjects, readSharedLearning } from '../../shared/population/shared-learning.ts';
import { personalize } from '../../shared/serving/personalize.ts';
import type { Objects } from '../../shared/storage/objects.ts';
import { createDeployment, FORCED, items } from '../functions/consolidate-patterns/deployment.ts';
import { Container, SETTINGS } from '../support/container.ts';
import { DAMAGE_NAMES, DAMAGES } from '../support/damage.ts';
import { event } from '../support/feedback-events.ts';
import type { MemoryObjects } from '../support/memory-objects.ts';

const cell = cellOf(SETTINGS);
const SKILLS = `skills/${cell}`;
const BASIS = `basis/${cell}`;
const candidates = items.map((embedding, i) => ({ itemId: `item ${i}`, embedding }));

/** Thirty users with adapters, and the population model of two consolidations. */
async function consolidatedTwice() {
  const deployment = await createDeployment();
  await deployment.crowd(30);
  deployment.pass(1);
  await consolidate(deployment.services, FORCED);
  for (let user = 0; user < 30; user++) await deployment.feedback(`user ${user}`, 2);
  deployment.pass(1);
  await consolidate(deployment.services, FORCED);
  return deployment;
}

async function damage(objects: MemoryObjects, key: string, how: keyof typeof DAMAGES): Promise<void> {
  await objects.put(key, DAMAGES[how](objects.contents.get(key)!.body));
}

/** A cold instance of the read function, which has read nothing yet. */
function reader(objects: Objects, maxAgeMs = -1) {
  const reported: CorruptObjectError[] = [];
  const shared = learningObjects(objects, SETTINGS, { maxAgeMs, onDamage: (error) => reported.push(error) });
  const { adapters } = new Container({ objects } as never).services;
  const services = {
    settings: SETTINGS,
    adapters,
    cache: new AdapterCache(),
    learning: () => readSharedLearning(shared, SETTINGS),
    freshLearning: () => readSharedLearning(shared, SETTINGS, 'refresh'),
    neighbours: () => shared.neighbours.read(),
  };
  const ask = (userId: string) =>
    personalize({ userId, candidates, answer: 'scores', explain: false }, services);
  return { ask, reported };
}

describe.each(DAMAGE_NAMES)('skills or basis, %s,', (how) => {
  test('leave a warm instance with the last readable value, and are reported at every read', async () => {
    const { objects } = await consolidatedTwice();
    for (const key of [SKILLS, BASIS]) {
      const { ask, reported } = reader(objects);
      const before = await ask('user 3');
      expect(before).toMatchObject({ source: 'adapter', skillsVersion: 2 });
      const { body } = objects.contents.get(key)!;
      // No earlier version is readable: the bucket has only the damaged one.
      objects.contents.delete(key);
      objects.contents.set(key, { body: DAMAGES[how](body), etag: '"damaged"' });
      expect((await ask('user 3')).items).toEqual(before.items);
      expect((await ask('user 3')).items).toEqual(before.items);
      expect(reported.map((error) => error.key)).toEqual([key, key]);
      await objects.put(key, body);
      expect((await ask('user 3')).items).toEqual(before.items);
      expect(reported).toHaveLength(2);
    }
  });

  test('let a cold instance answer from the previous version, or without the object', async () => {
    const { objects } = await consolidatedTwice();
    const { body } = objects.contents.get(SKILLS)!;
    await damage(objects, SKILLS, how);
    const { ask, reported } = reader(objects);
    expect(await ask('user 3')).toMatchObject({ source: 'adapter', skillsVersion: 2 });
    expect(reported.map((error) => error.key)).toEqual([SKILLS]);

    const alone = new Map([...objects.contents].filter(([key]) => key !== SKILLS));
    const fresh = (await createDeployment({ withBasis: false })).objects;
    for (const [key, stored] of alone) fresh.contents.set(key, stored);
    fresh.contents.set(SKILLS, { body: DAMAGES[how](body), etag: '"damaged"' });
    expect(await reader(fresh).ask('user 3')).toMatchObject({ source: 'adapter', skillsVersion: 0 });
    await damage(fresh, BASIS, how);
    fresh.contents.set(BASIS, { body: DAMAGES[how](body), etag: '"damaged"' });
    const answer = await reader(fresh).ask('nobody');
    expect(answer.items).toHaveLength(candidates.length);
  });
});

test('events of a user with a damaged basis wait: the user does not start anew and loses nothing', async () => {
  const { objects, learning, adapters, feedback } = await createDeployment();
  const other = basisFromEmbeddings(items.slice(5), { rank: SETTINGS.rank, scalingFactor: 1, seed: 2 });
  await learning.basis.write({ basis: other, embeddingModel: SETTINGS.embeddingModel });
  await feedback('ada', 0);
  const ada = userKey('ada');
  const before = objects.contents.get(adapterKey(ada))!.body;
  const sound = objects.contents.get(BASIS)!.body;
  // Damages the object in place: the version before it is the previous basis.
  objects.contents.set(BASIS, { body: DAMAGES.truncated(sound), etag: '"damaged"' });
  const shared = learningObjects(objects, SETTINGS, { maxAgeMs: -1 });
  const services = {
    ...new Container({ objects, adapters } as never).services,
    freshLearning: () => readSharedLearning(shared, SETTINGS, 'refresh'),
  };
  const learn = async (key: string, id: string, userId: string) =>
    updateUser(key, [event(id, { userId })], await services.freshLearning(), services);
  await expect(learn(ada, 'e1', 'ada')).rejects.toThrow('missing or damaged');
  expect(objects.contents.get(adapterKey(ada))!.body).toEqual(before);
  await objects.put(BASIS, sound);
  await expect(learn(ada, 'e1', 'ada').catch((error) => error.message)).resolves.toMatchObject({
    applied: [{ eventId: 'e1' }],
  });
  expect((await adapters.load(ada))!.adapter.state).toMatchObject({ basisId: other.id });
});

describe('consolidation', () => {
  test('rebuilds a damaged population model from the previous version, under a new version number', async () => {
    const { objects, services, learning, corrupt } = await consolidatedTwice();
    const sound = (await learning.population.refresh())!;
    await damage(objects, SKILLS, 'one bit flipped');
    // The bucket's newest readable version is the second. If that one is damaged too, it is the
    // first.
    const second = await Array.fromAsync(objects.versions(SKILLS));
    expect(second.length).toBe(3);
    expect(await consolidate(services, { force: false, settleSeconds: 0 })).toMatchObject({
      status: 'consolidated',
    });
    const mended = (await learning.population.refresh())!;
    expect(mended.items).toEqual(sound.items);
    expect(mended.progress.watermarks).toEqual(sound.progress.watermarks);
    expect(mended.version).toBeGreaterThan(sound.version + 1);
    expect(learning.population.damage).toBeUndefined();
    expect(corrupt).toEqual([]);
  });

  test('rebuilds the population model from all episodes when no version is readable', async () => {
    const { objects, container, learning } = await consolidatedTwice();
    const sound = (await learning.population.refresh())!;
    objects.contents.delete(SKILLS);
    objects.contents.set(SKILLS, { body: new Uint8Array(40), etag: '"damaged"' });
    const blind: Objects = {
      get: (key, options) => objects.get(key, options),
      put: (key, body, condition) => objects.put(key, body, condition),
      delete: (key) => objects.delete(key),
      list: (prefix) => objects.list(prefix),
      async *versions() {},
    };
    const { episodes } = container();
    await consolidate(container({ objects: blind, episodes }), FORCED);
    const mended = (await learning.population.refresh())!;
    expect(mended.items.sums).toEqual(sound.items.sums);
    expect(mended.progress.episodes).toBe(sound.progress.episodes);
  });

  test.each([
    ['with a time in another century', '{"expiresAt":9780000000000}'],
    ['truncated', '{"expiresAt":97800'],
    ['emptied', ''],
  ])('is held up by no lease that is damaged: %s', async (_, lease) => {
    const { objects, services, feedback, pass } = await consolidatedTwice();
    for (let user = 0; user < 30; user++) await feedback(`newcomer ${user}`, 0);
    pass(1);
    await objects.put(`consolidation/${cell}.lease`, Buffer.from(lease));
    expect(await consolidate(services, { force: false, settleSeconds: 0 })).toMatchObject({
      status: 'consolidated',
      newEpisodes: 30,
    });
  });

  test('learns item effects under a damaged basis, and keeps prior and basis', async () => {
    const { objects, services, learning, feedback, pass } = await consolidatedTwice();
    const before = (await learning.population.refresh())!;
    objects.contents.set(BASIS, { body: new Uint8Array(40), etag: '"damaged"' });
    for (let user = 0; user < 30; user++) await feedback(`newcomer ${user}`, 0);
    pass(1);
    const report = await consolidate(services, FORCED);
    expect(report).toMatchObject({ status: 'consolidated', newEpisodes: 30, basisLearned: false });
    expect(report.rejected).toContainEqual({ what: 'population prior', why: 'the basis is damaged' });
    const after = (await learning.population.refresh())!;
    expect(after.prior).toEqual(before.prior);
    expect(after.priorVersion).toBe(before.priorVersion);
    expect(objects.contents.get(BASIS)!.etag).toBe('"damaged"');
  });
});

test('a damaged adapter is served from its previous version, or as that of a new user', async () => {
  const { objects, feedback } = await consolidatedTwice();
  const key = adapterKey(userKey('user 3'));
  await damage(objects, key, 'one bit flipped');
  const { ask } = reader(objects);
  expect(await ask('user 3')).toMatchObject({ source: 'adapter', adapterVersion: 3 });
  await feedback('once', 0);
  const once = adapterKey(userKey('once'));
  objects.contents.set(once, { body: new Uint8Array(3), etag: '"damaged"' });
  expect(await reader(objects).ask('once')).toMatchObject({ source: 'warm-start', adapterVersion: 0 });
  const other = objects.contents.get(adapterKey(userKey('user 4')))!;
  objects.contents.set(once, other);
  expect(await reader(objects).ask('once')).toMatchObject({ source: 'warm-start', adapterVersion: 0 });
});
