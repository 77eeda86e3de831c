import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { adapterKey } from '../../shared/adapters/adapter-store.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { cellOf } from '../../shared/episodes/episode.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { DAMAGES } from '../support/damage.ts';
import { type RecordsStack, startRecordsStack } from '../support/records-stack.ts';

const SETTINGS = { embeddingDim: 16, embeddingModel: 'm', rank: 2, scalingFactor: 1, learner: 'bayesian' };
const BASIS = `basis/${cellOf(SETTINGS)}`;
const SKILLS = `skills/${cellOf(SETTINGS)}`;
const random = createRandom('recovery commands');
const lines = Array.from({ length: 300 }, (_, i) =>
  JSON.stringify({ itemId: `item ${i}`, embedding: Array.from({ length: 16 }, () => random.normal()) }),
);

// Each command is a process of its own.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 60_000 });

let stack: RecordsStack;
beforeAll(async () => {
  stack = await startRecordsStack(SETTINGS);
});
afterAll(() => stack.stop());

/** Another version of the object, with damaged bytes. */
async function damage(key: string, how: keyof typeof DAMAGES): Promise<void> {
  const found = await stack.objects.get(key);
  if (found === undefined || found === 'not-modified') throw new Error(`nothing at ${key}`);
  await stack.objects.put(key, DAMAGES[how](found.body), { ifMatch: found.etag });
}

const storedBasis = () => learningObjects(stack.objects, SETTINGS).basis;

describe('a basis with one bit flipped', () => {
  const how = 'one bit flipped';

  test('is reported by model history, and replaced by model rollback', async () => {
    await stack.attune(['basis', 'build', '-', '--force'], lines.slice(0, 200).join('\n'));
    const { basis } = (await storedBasis().refresh())!;
    await damage(BASIS, how);
    const [newest, before] = (await stack.attune(['model', 'history', 'basis', '--json'])).json();
    expect(newest).toMatchObject({ latest: true, what: expect.stringMatching(/^damaged: basis\//) });
    expect(before).toMatchObject({ what: `basis ${basis.id}` });
    const back = await stack.attune(['model', 'rollback', 'basis', '--to', newest.versionId]);
    expect(back.code).toBe(1);
    expect(back.stderr).toContain(BASIS);
    expect(await stack.attune(['model', 'rollback', 'basis', '--to', before.versionId])).toMatchObject({
      code: 0,
    });
    const object = storedBasis();
    expect((await object.refresh())!.basis.id).toBe(basis.id);
    expect(object.damage).toBeUndefined();
    expect((await stack.attune(['model', 'show', 'basis', '--json'])).json()).toMatchObject({
      basis: basis.id,
    });
  });

  test('is replaced by basis build, also with the same catalogue', async () => {
    for (const items of [lines.slice(0, 200), lines]) {
      await damage(BASIS, how);
      const built = await stack.attune(['basis', 'build', '-', '--force'], items.join('\n'));
      expect(built).toMatchObject({ code: 0, stderr: expect.stringContaining('it is replaced') });
      const object = storedBasis();
      await object.refresh();
      expect(object.damage).toBeUndefined();
    }
  });
});

test('model rollback refuses a basis to which adapters cannot be carried over, without --force', async () => {
  await stack.attune(['basis', 'build', '-', '--force'], lines.slice(0, 100).join('\n'));
  await stack.attune(['basis', 'build', '-', '--force'], lines.slice(100, 200).join('\n'));
  const history = (await stack.attune(['model', 'history', 'basis', '--json'])).json();
  const to = ['model', 'rollback', 'basis', '--to', history[1].versionId];
  expect(await stack.attune(to)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('attune basis build'),
  });
  expect(await stack.attune([...to, '--force'])).toMatchObject({ code: 0 });
});

test('a deleted basis comes back by model rollback', async () => {
  await stack.attune(['basis', 'build', '-', '--force'], lines.join('\n'));
  const { basis } = (await storedBasis().refresh())!;
  await stack.objects.delete(BASIS);
  expect(await storedBasis().refresh()).toBeUndefined();
  const [deleted, before] = (await stack.attune(['model', 'history', 'basis', '--json'])).json();
  expect(deleted).toMatchObject({ what: 'deleted', latest: true });
  await stack.attune(['model', 'rollback', 'basis', '--to', before.versionId]);
  expect((await storedBasis().refresh())!.basis.id).toBe(basis.id);
});

test('a population model after a rollback has a new version number', async () => {
  const { population } = learningObjects(stack.objects, SETTINGS);
  const { initialPopulationModel } = await import('../../shared/population/population-model.ts');
  for (const version of [1, 2, 3]) {
    await population.write({ ...initialPopulationModel(null), version });
  }
  await damage(SKILLS, 'truncated');
  const history = (await stack.attune(['model', 'history', 'skills', '--json'])).json();
  expect(history.map(({ what }: { what: string }) => what.slice(0, 17))).toEqual([
    'damaged: skills/b',
    'skills version 3',
    'skills version 2',
    'skills version 1',
  ]);
  await stack.attune(['model', 'rollback', 'skills', '--to', history[3].versionId]);
  const mended = learningObjects(stack.objects, SETTINGS).population;
  expect((await mended.refresh())!.version).toBeGreaterThan(4);
  expect(mended.damage).toBeUndefined();
});

describe('an adapter that is damaged', () => {
  test('can be inspected, listed, exported and rolled back', async () => {
    const how = 'truncated';
    const user = `ina ${how}`;
    await stack.learn(user, 2);
    await damage(adapterKey(userKey(user)), how);
    const seen = await stack.attune(['inspect', user, '--json']);
    expect(seen).toMatchObject({ code: 0, stderr: expect.stringContaining('the newest version is damaged') });
    expect(seen.json()).toMatchObject({ version: 2, damaged: expect.stringContaining('adapters/') });
    const listed = await stack.attune(['history', user, '--json']);
    expect(listed.json()).toMatchObject([{ version: 2 }, { version: 1 }, { damaged: expect.any(String) }]);
    const folder = stack.folder(`export ${how}`);
    await stack.attune(['export', user, '--to', folder]);
    expect(readdirSync(folder)).toContain('adapter-damaged-1.bin');
    expect(readFileSync(join(folder, 'adapter-versions.jsonl'), 'utf8').split('\n')[0]).toContain('damaged');
    expect((await stack.attune(['rollback', user, '--to', '2', '--json'])).json()).toMatchObject({
      version: 4,
    });
    await stack.learn(user, 1, 'later');
    expect((await stack.adapters.find(userKey(user))).adapter).toMatchObject({ version: 5 });
  });

  test('because a later release wrote it, can be rolled back, and learns again', async () => {
    await stack.learn('ula', 2);
    await damage(adapterKey(userKey('ula')), 'written by a later release');
    const history = (await stack.attune(['history', 'ula', '--json'])).json();
    expect(history).toMatchObject([
      { version: 2 },
      { version: 1 },
      {
        damaged: expect.stringContaining(
          'found attune-adapter version 99, expected attune-adapter version 1',
        ),
      },
    ]);
    await stack.attune(['rollback', 'ula', '--to', '2']);
    await stack.learn('ula', 1, 'later');
    expect((await stack.adapters.find(userKey('ula'))).adapter).toMatchObject({ version: 5 });
  });

  test('without an earlier version can be exported, started anew and forgotten', async () => {
    const how = 'emptied';
    const user = `ona ${how}`;
    const key = adapterKey(userKey(user));
    await stack.objects.put(key, new Uint8Array(100), { ifNoneMatch: true });
    expect(await stack.attune(['inspect', user])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--to 0'),
    });
    const folder = stack.folder(`only ${how}`);
    expect(await stack.attune(['export', user, '--to', folder])).toMatchObject({ code: 0 });
    expect(readdirSync(folder).sort()).toEqual(['adapter-damaged-1.bin', 'adapter-versions.jsonl']);
    const refused = await stack.attune(['rollback', user, '--to', '1']);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('--to 0') });
    expect(await stack.attune(['rollback', user, '--to', '0'])).toMatchObject({ code: 0 });
    await stack.learn(user, 1);
    expect((await stack.adapters.find(userKey(user))).adapter).toMatchObject({ version: 1 });
    await damage(key, how);
    const receipt = await stack.attune(['forget', user, '--settle', '0', '--json']);
    expect(receipt.json()).toMatchObject({ verified: true, removed: { episodes: 1 } });
    expect(await Array.fromAsync(stack.objects.versions(key))).toHaveLength(1);
  });

  test('of another user counts as damaged', async () => {
    await stack.learn('eva', 1);
    await stack.learn('eve', 1);
    const eva = await stack.objects.get(adapterKey(userKey('eva')));
    const eve = await stack.objects.get(adapterKey(userKey('eve')));
    if (typeof eva !== 'object' || typeof eve !== 'object') throw new Error('nothing there');
    await stack.objects.put(adapterKey(userKey('eve')), eva.body, { ifMatch: eve.etag });
    expect((await stack.adapters.find(userKey('eve'))).damage?.message).toContain(userKey('eva'));
    expect((await stack.attune(['inspect', 'eve', '--json'])).json()).toMatchObject({
      userKey: userKey('eve'),
    });
  });
});

test('a damaged object in quarantine or pending/ hides no other from export, dlq and forget', async () => {
  await stack.learn('quinn', 1);
  const key = userKey('quinn');
  for (const prefix of ['quarantine', 'pending'])
    await stack.objects.put(`${prefix}/${key}/7`, new Uint8Array(9), { ifNoneMatch: true });
  const folder = stack.folder('quinn');
  await stack.attune(['export', 'quinn', '--to', folder]);
  for (const file of ['quarantine.jsonl', 'pending-episodes.jsonl'])
    expect(readFileSync(join(folder, file), 'utf8')).toContain('damaged');
  const listed = await stack.attune(['dlq', 'list', '--json']);
  expect(listed).toMatchObject({ code: 0, stderr: expect.stringContaining(`quarantine/${key}/7`) });
  const receipt = await stack.attune(['forget', 'quinn', '--settle', '0', '--json']);
  expect(receipt.json().removed).toMatchObject({ quarantined: 1, pendingEpisodes: 1 });
});

test('a damaged manifest is replaced by catalogue put, and refused by catalogue update', async () => {
  const file = join(stack.folder('items'), 'items.jsonl');
  writeFileSync(file, lines.join('\n'));
  await stack.attune(['catalogue', 'put', file]);
  await damage('catalogue/manifest', 'one bit flipped');
  expect(await stack.attune(['catalogue', 'update', file])).toMatchObject({ code: 1 });
  const put = (await stack.attune(['catalogue', 'put', file, '--json'])).json();
  expect(put).toMatchObject({ items: 300 });
  expect(put.version).toBeGreaterThan(2);
  const { CatalogueReader } = await import('../../shared/catalogue/catalogue-reader.ts');
  const { basis } = (await storedBasis().refresh())!;
  const reader = () => new CatalogueReader(stack.objects, SETTINGS).load(basis);
  expect(await reader()).toMatchObject({ items: 300, version: put.version });

  // A damaged shard looks like an existing one.
  const keys = (await Array.fromAsync(stack.objects.list('catalogue/'))).map((listed) => listed.key);
  const shard = keys.find((key) => key.endsWith('.items'))!;
  await damage(shard, 'one bit flipped');
  await expect(reader()).rejects.toThrow(shard);
  await stack.attune(['catalogue', 'put', file, '--rewrite']);
  expect(await reader()).toMatchObject({ items: 300 });
  await damage(keys.find((key) => key.startsWith('catalogue/features/'))!, 'truncated');
  expect(await reader()).toMatchObject({ items: 300 });
});
