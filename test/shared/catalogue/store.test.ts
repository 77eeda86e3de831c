import { beforeEach, describe, expect, test } from 'vitest';
import { MANIFEST_KEY } from '../../../shared/catalogue/catalogue-keys.ts';
import {
  type Catalogue,
  CatalogueReader,
  type Place,
  placeOfItem,
} from '../../../shared/catalogue/catalogue-reader.ts';
import { CatalogueWriter } from '../../../shared/catalogue/catalogue-writer.ts';
import { psiOf } from '../../../shared/catalogue/loaded-features.ts';
import { topItems } from '../../../shared/catalogue/scan.ts';
import { attributesOf, itemIdAt } from '../../../shared/catalogue/shard.ts';
import { ConflictError, CorruptObjectError } from '../../../shared/errors.ts';
import { basisOf, CATALOGUE_SETTINGS, randomItems } from '../../support/catalogue.ts';
import { MemoryObjects } from '../../support/memory-objects.ts';

const items = randomItems(300, 1);
const basis = basisOf(items);
let objects: MemoryObjects;

beforeEach(() => {
  objects = new MemoryObjects();
});

/** Objects of the store in memory are as old as the epoch. */
const writer = (store = objects, now = 0) =>
  new CatalogueWriter(store, CATALOGUE_SETTINGS, { basis, now: () => now });
/** Asks S3 at every request. */
const reader = (store = objects) => new CatalogueReader(store, CATALOGUE_SETTINGS, { maxAgeMs: -1 });

function attributesAt({ shards }: Catalogue, { shard, row }: Place) {
  return attributesOf(shards[shard]!, shards[shard]!.name)[row];
}

async function idsOf(from = reader()) {
  const catalogue = await from.load(basis);
  return catalogue?.shards
    .flatMap((shard) => Array.from(shard.keys, (_, row) => itemIdAt(shard, row)))
    .sort();
}
const sortedIds = (list = items) => list.map(({ itemId }) => itemId).sort();

describe('the catalogue', () => {
  test('stores ids, embeddings and attributes', async () => {
    expect(await writer().put(items)).toMatchObject({ version: 1, items: 300, added: 300 });
    const from = reader();
    const catalogue = (await from.load(basis))!;
    expect(catalogue.items).toBe(300);
    for (const { itemId, embedding, attributes } of items) {
      const place = placeOfItem(catalogue, itemId)!;
      expect([...(await from.embeddingAt(catalogue, place))]).toEqual([...embedding]);
      expect(attributesAt(catalogue, place)).toEqual(attributes);
    }
    expect(placeOfItem(catalogue, 'unknown')).toBeUndefined();
  });

  test('embeddings of many items are read shard by shard, each once', async () => {
    const many = randomItems(9_000, 3);
    await writer().put(many);
    const read: string[] = [];
    class Counting extends MemoryObjects {
      override get(...args: Parameters<MemoryObjects['get']>) {
        if (args[0].endsWith('.embeddings')) read.push(args[0]);
        return objects.get(...args);
      }
    }
    const from = reader(new Counting());
    const catalogue = (await from.load(basis))!;
    const wanted = many.slice(0, 200);
    const places = wanted.map(({ itemId }) => placeOfItem(catalogue, itemId)!);
    expect(await from.embeddingsAt(catalogue, places)).toEqual(wanted.map(({ embedding }) => embedding));
    expect(read).toHaveLength(catalogue.shards.length);
    expect(new Set(read).size).toBe(read.length);
  });

  test('has one shard for about 4,096 items', async () => {
    await writer().put(randomItems(9_000, 2));
    const catalogue = (await reader().load(null))!;
    expect(catalogue.buckets).toBe(4);
    const keys = catalogue.shards.flatMap((shard) => [...shard.keys]);
    expect(keys).toHaveLength(9_000);
    expect(keys.every((key, i) => i === 0 || keys[i - 1]! < key)).toBe(true);
  });

  test('is undefined when there is none, or one of another embedding model', async () => {
    expect(await reader().load(basis)).toBeUndefined();
    await writer().put(items);
    const other = new CatalogueReader(objects, { ...CATALOGUE_SETTINGS, embeddingModel: 'other' });
    expect(await other.load(basis)).toBeUndefined();
  });

  test('has the same bytes for every order of items', async () => {
    await writer().put(items);
    const other = new MemoryObjects();
    await writer(other).put(items.toReversed());
    expect([...other.contents.keys()].sort()).toEqual([...objects.contents.keys()].sort());
  });

  test('an update adds and replaces items; a removal ignores unknown ids', async () => {
    await writer().put(items.slice(0, 200));
    const changed = { ...items[5]!, attributes: { genre: 'western' } };
    expect(await writer().update([changed, ...items.slice(200)])).toMatchObject({
      version: 2,
      items: 300,
      added: 100,
      changed: 1,
    });
    expect(await writer().remove(['item-7', 'unknown'])).toMatchObject({
      version: 3,
      items: 299,
      removed: 1,
    });
    const catalogue = (await reader().load(basis))!;
    const place = placeOfItem(catalogue, 'item-5')!;
    expect(attributesAt(catalogue, place)).toEqual({ genre: 'western' });
    expect(await idsOf()).toEqual(sortedIds().filter((id) => id !== 'item-7'));
  });

  test('updates split the shards anew when there are too few of them', async () => {
    await writer().put(items);
    await writer().update(randomItems(9_000, 3));
    const catalogue = (await reader().load(null))!;
    expect([catalogue.items, catalogue.buckets]).toEqual([9_000, 4]);
  });

  test('two updates at once both take effect', async () => {
    await writer().put(items.slice(0, 100));
    await Promise.all([writer().update(items.slice(100, 200)), writer().update(items.slice(200))]);
    expect(await idsOf()).toEqual(sortedIds());
  });

  test('of two concurrent uploads one is refused, and the other is stored as a whole', async () => {
    const halves = [items.slice(0, 150), items.slice(150)];
    const results = await Promise.allSettled(halves.map((half) => writer().put(half)));
    const refused = results.filter(({ status }) => status === 'rejected');
    expect(refused).toHaveLength(1);
    expect((refused[0] as PromiseRejectedResult).reason).toBeInstanceOf(ConflictError);
    const winner = halves[results.findIndex(({ status }) => status === 'fulfilled')];
    expect(await idsOf()).toEqual(sortedIds(winner));
  });

  test('an upload that is interrupted anywhere leaves the earlier version, and the next one succeeds', async () => {
    await writer().put(items.slice(0, 50));
    const before = await idsOf();
    for (let writes = 0; ; writes++) {
      const failing = interruptedAfter(writes);
      const outcome = await writer(failing)
        .put(items)
        .catch((error: Error) => error.message);
      if (typeof outcome !== 'string') break;
      expect(outcome).toBe('interrupted');
      expect(await idsOf()).toEqual(before);
    }
    expect(await idsOf()).toEqual(sortedIds());
  });

  test('an upload reuses the shards of an interrupted one', async () => {
    await writer(interruptedAfter(3))
      .put(items)
      .catch(() => undefined);
    expect(await writer().put(items)).toMatchObject({ items: 300, shardsWritten: 0 });
  });

  test('shards that no manifest names are deleted after a day', async () => {
    await writer().put(items);
    const day = 24 * 3_600_000;
    await writer(objects, day).put(items.slice(0, 100));
    expect(objects.contents.size).toBe(7);
    await writer(objects, day + 1).put(items.slice(0, 100));
    expect(objects.contents.size).toBe(4);
    expect(await idsOf()).toEqual(sortedIds(items.slice(0, 100)));
  });

  test('a reader keeps its version, and loads only shards that changed', async () => {
    await writer().put(randomItems(9_000, 2));
    const from = reader();
    const first = (await from.load(basis))!;
    await writer().remove(['item-7']);
    const second = (await from.load(basis))!;
    expect([first.items, second.items]).toEqual([9_000, 8_999]);
    expect(placeOfItem(first, 'item-7')).toBeDefined();
    expect(second.shards.filter((shard) => first.shards.includes(shard))).toHaveLength(3);
  });

  test('a reader whose shards were deleted continues with the newer version', async () => {
    await writer().put(items);
    const from = new CatalogueReader(objects, CATALOGUE_SETTINGS, { maxAgeMs: 1_000, now: () => 0 });
    await from.manifest();
    await writer(objects, 1e9).put(items.slice(0, 100));
    expect(await idsOf(from)).toEqual(sortedIds(items.slice(0, 100)));
  });

  test('an item is found by its id, also when it is newer than the manifest in memory', async () => {
    const from = new CatalogueReader(objects, CATALOGUE_SETTINGS, { maxAgeMs: 1_000, now: () => 0 });
    expect(await from.embeddingOfItem('item-1')).toBeUndefined();
    await writer().put(items.slice(0, 2));
    expect(await from.embeddingOfItem('item-1')).toEqual(Float32Array.from(items[1]!.embedding));
    await writer().update([items[2]!]);
    expect(await from.embeddingOfItem('item-2')).toEqual(Float32Array.from(items[2]!.embedding));
    expect(await from.embeddingOfItem('item-3')).toBeUndefined();
  });

  test('a damaged manifest or shard is an error that names the object; damaged features are computed anew', async () => {
    await writer().put(items);
    for (const [key, object] of [...objects.contents]) {
      const body = Uint8Array.from(object.body);
      body[body.length - 1]! ^= 1;
      objects.contents.set(key, { ...object, body });
      const reported: CorruptObjectError[] = [];
      const onDamage = (damage: CorruptObjectError) => reported.push(damage);
      const from = new CatalogueReader(objects, CATALOGUE_SETTINGS, { maxAgeMs: -1, onDamage });
      const read = async () => {
        const catalogue = (await from.load(basis))!;
        await from.embeddingAt(catalogue, { shard: 0, row: 0 });
      };
      const error = await read().catch((thrown: unknown) => thrown);
      if (!key.startsWith('catalogue/features/')) {
        expect(error, key).toBeInstanceOf(CorruptObjectError);
        expect((error as CorruptObjectError).key).toBe(key);
      } else expect([error, reported.map((damage) => damage.key)]).toEqual([undefined, [key]]);
      objects.contents.set(key, object);
    }
    expect(objects.contents.has(MANIFEST_KEY)).toBe(true);
  });

  test('requests under two bases at once each get the features of their own', async () => {
    await writer().put(items);
    const newer = basisOf(items.slice(0, 120));
    const alone = await Promise.all([basis, newer].map((of) => reader().load(of)));
    const from = reader();
    const loads = await Promise.all([basis, newer, null, basis].map((of) => from.load(of)));
    expect(loads.map((catalogue) => catalogue!.basisId)).toEqual([basis.id, newer.id, null, basis.id]);
    const psiOfFirst = ({ shards }: Catalogue) => psiOf(shards[0]!.features!, 0);
    expect(psiOfFirst(loads[0]!)).toEqual(psiOfFirst(alone[0]!));
    expect(psiOfFirst(loads[1]!)).toEqual(psiOfFirst(alone[1]!));
    expect(psiOfFirst(loads[1]!)).not.toEqual(psiOfFirst(loads[0]!));
    expect(loads[2]!.shards[0]!.features).toBeNull();
  });

  test('a version that a request holds stays whole while its items are removed', async () => {
    await writer().put(items);
    const from = new CatalogueReader(objects, CATALOGUE_SETTINGS, { maxAgeMs: -1 });
    const held = (await from.load(basis))!;
    const place = placeOfItem(held, 'item-5')!;
    await writer().remove(['item-5']);
    const newer = (await from.load(basis))!;
    expect(placeOfItem(newer, 'item-5')).toBeUndefined();
    expect(newer.items).toBe(held.items - 1);
    expect(placeOfItem(held, 'item-5')).toEqual(place);
    expect(await from.embeddingAt(held, place)).toEqual(items[5]!.embedding);
    const scorer = { base: 0, coefficients: new Float64Array(basis.projectionDim).fill(1), effects: null };
    const inHeld = topItems(held, scorer, [], held.items).map(({ itemId }) => itemId);
    expect(inHeld).toContain('item-5');
    expect(topItems(newer, scorer, [], held.items)).toHaveLength(held.items - 1);
  });

  test('features of a new basis are computed when none are stored, and equal the stored ones', async () => {
    await writer().put(items);
    const newer = basisOf(items.slice(0, 120));
    const computed = (await reader().load(newer))!.shards[0]!.features;
    expect(await writer().storeFeatures(newer)).toBe(1);
    expect(await writer().storeFeatures(newer)).toBe(0);
    expect((await reader().load(newer))!.shards[0]!.features).toEqual(computed);
  });
});

function interruptedAfter(writes: number): MemoryObjects {
  const failing = new MemoryObjects();
  let left = writes;
  Object.assign(failing, { contents: objects.contents });
  failing.put = async (...args) => {
    if (left-- === 0) throw new Error('interrupted');
    return objects.put(...args);
  };
  return failing;
}
