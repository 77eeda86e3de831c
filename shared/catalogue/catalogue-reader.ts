import { itemKey } from '../episodes/episode.ts';
import { CorruptObjectError } from '../errors.ts';
import { inParallel } from '../in-parallel.ts';
import { halvesOf } from '../key-halves.ts';
import type { Basis } from '../lora/basis.ts';
import type { Objects } from '../storage/objects.ts';
import { SharedObject, type SharedObjectOptions } from '../storage/shared-object.ts';
import { embeddingsKey, featuresKey, itemsKey, MANIFEST_KEY } from './catalogue-keys.ts';
import type { CatalogueSettings } from './catalogue-writer.ts';
import { decodeFeatures, featuresOf, type ShardFeatures } from './features.ts';
import { type LoadedFeatures, loadedFeatures } from './loaded-features.ts';
import {
  bucketOf,
  bucketOfHigh,
  decodeManifest,
  encodeManifest,
  itemCount,
  type Manifest,
} from './manifest.ts';
import { decodeEmbeddings, decodeShard, rowOf, rowOfHalves, type Shard } from './shard.ts';

/** One consistent version of the catalogue, ready for a scan. */
export interface Catalogue {
  readonly version: number;
  readonly items: number;
  readonly buckets: number;
  readonly basisId: string | null;
  /** In the order of their buckets, so that keys ascend over all shards. */
  readonly shards: readonly LoadedShard[];
}

export interface LoadedShard extends Shard {
  readonly bucket: number;
  /** Null without a basis. */
  readonly features: LoadedFeatures | null;
}

/** The place of an item in a catalogue. */
export interface Place {
  /** Index into the shards. */
  readonly shard: number;
  readonly row: number;
}

/** Most bytes of embeddings in memory. Embeddings are read only for a few items of a request. */
const EMBEDDING_CACHE_BYTES = 96 * 1024 * 1024;
/** Most shards with their keys in memory, 32 KB each. */
const MOST_KEYS = 512;
const LOADS_AT_ONCE = 8;

/**
 * Reads the catalogue. Loaded shards stay in memory. A request asks S3 at most every 30 seconds
 * whether the manifest changed, and then loads only the changed shards.
 */
export class CatalogueReader {
  readonly #objects: Objects;
  readonly #settings: CatalogueSettings;
  readonly #manifest: SharedObject<Manifest>;
  readonly #onDamage: (error: CorruptObjectError) => void;
  #loaded: Catalogue | undefined;
  #loading: { readonly of: string; readonly catalogue: Promise<Catalogue> } | undefined;
  readonly #embeddings = new Map<string, Float16Array>();
  readonly #keys = new Map<string, BigUint64Array>();

  constructor(objects: Objects, settings: CatalogueSettings, cache: SharedObjectOptions = {}) {
    this.#objects = objects;
    this.#settings = settings;
    this.#onDamage = cache.onDamage ?? (() => {});
    this.#manifest = new SharedObject(
      objects,
      MANIFEST_KEY,
      { encode: encodeManifest, decode: decodeManifest },
      cache,
    );
  }

  /**
   * The catalogue with the features of a basis; undefined when there is none for the deployment's
   * embeddings.
   * @throws CorruptObjectError, UnavailableError
   */
  async load(basis: Basis | null): Promise<Catalogue | undefined> {
    const manifest = await this.manifest();
    if (manifest === undefined) return undefined;
    try {
      return await this.#loadOnce(manifest, basis);
    } catch (error) {
      if (!(error instanceof MissingShard)) throw error;
      // The shard is deleted, because another catalogue has replaced it since the manifest was
      // read.
      const newer = await this.manifest('refresh');
      if (newer === undefined) return undefined;
      if (newer.version === manifest.version) throw error;
      return this.#loadOnce(newer, basis);
    }
  }

  /**
   * The manifest; undefined when there is none, or one of other embeddings. If it is damaged, the
   * newest readable version before it.
   * @throws CorruptObjectError when none is readable, UnavailableError
   */
  async manifest(how: 'read' | 'refresh' = 'read'): Promise<Manifest | undefined> {
    const manifest = await this.#manifest[how]();
    const { damage } = this.#manifest;
    if (manifest === undefined && damage !== undefined) throw damage;
    const { embeddingDim, embeddingModel } = this.#settings;
    const fits = manifest?.embeddingDim === embeddingDim && manifest.embeddingModel === embeddingModel;
    return fits ? manifest : undefined;
  }

  /**
   * The embedding at a place, of unit length.
   * @throws CorruptObjectError, UnavailableError
   */
  async embeddingAt(catalogue: Pick<Catalogue, 'shards'>, { shard, row }: Place): Promise<Float16Array> {
    const embeddings = await this.#embeddingsOf(catalogue.shards[shard]!.name);
    const { embeddingDim: d } = this.#settings;
    return embeddings.subarray(row * d, (row + 1) * d);
  }

  /**
   * The embeddings at several places, in their order. Reads each shard once, and a few at a time.
   * @throws CorruptObjectError, UnavailableError
   */
  async embeddingsAt(
    catalogue: Pick<Catalogue, 'shards'>,
    places: readonly Place[],
  ): Promise<readonly Float16Array[]> {
    const found = new Array<Float16Array>(places.length);
    const { embeddingDim: d } = this.#settings;
    const byShard = Map.groupBy(places.entries(), ([, { shard }]) => shard);
    await inParallel(byShard, LOADS_AT_ONCE, async ([shard, wanted]) => {
      const embeddings = await this.#embeddingsOf(catalogue.shards[shard]!.name);
      // Copies, because a view would keep the whole shard in memory.
      for (const [i, { row }] of wanted) found[i] = embeddings.slice(row * d, (row + 1) * d);
    });
    return found;
  }

  /**
   * The embeddings of all items of a shard, by row.
   * @throws CorruptObjectError, UnavailableError
   */
  async embeddingsOf(catalogue: Pick<Catalogue, 'shards'>, shard: number): Promise<readonly Float16Array[]> {
    const { name, keys } = catalogue.shards[shard]!;
    const embeddings = await this.#embeddingsOf(name);
    const { embeddingDim: d } = this.#settings;
    return Array.from(keys, (_, row) => embeddings.subarray(row * d, (row + 1) * d));
  }

  /**
   * The embedding of an item, of unit length; undefined when the current catalogue does not have
   * it. Reads only the item's shard.
   * @throws CorruptObjectError, UnavailableError
   */
  async embeddingOfItem(itemId: string): Promise<Float32Array | undefined> {
    // The item may be newer than the manifest in memory.
    const found = (await this.#findItem(itemId, 'read')) ?? (await this.#findItem(itemId, 'refresh'));
    // An earlier manifest cannot prove that there is no such item.
    if (found === undefined && this.#manifest.damage !== undefined) throw this.#manifest.damage;
    return found;
  }

  async #findItem(itemId: string, how: 'read' | 'refresh'): Promise<Float32Array | undefined> {
    const manifest = await this.manifest(how);
    if (manifest === undefined) return undefined;
    const key = itemKey(itemId);
    const bucket = bucketOf(key, manifest.buckets);
    const name = manifest.shards.find((shard) => shard.bucket === bucket)?.name;
    if (name === undefined) return undefined;
    try {
      const row = rowOf({ keys: await this.#keysOf(name) }, key);
      if (row === -1) return undefined;
      const embeddings = await this.#embeddingsOf(name);
      const { embeddingDim: d } = this.#settings;
      return Float32Array.from(embeddings.subarray(row * d, (row + 1) * d));
    } catch (error) {
      // The shard is deleted, because another catalogue has replaced it since the manifest was
      // read.
      if (how === 'read' && error instanceof MissingShard) return undefined;
      throw error;
    }
  }

  async #keysOf(name: string): Promise<BigUint64Array> {
    const known = this.#keys.get(name);
    if (known !== undefined) return known;
    const { keys } = decodeShard(await this.#get(itemsKey(name)), name, itemsKey(name));
    if (this.#keys.size >= MOST_KEYS) this.#keys.clear();
    // A copy, because the original would keep the whole object in memory.
    this.#keys.set(name, keys.slice());
    return keys;
  }

  async #loadOnce(manifest: Manifest, basis: Basis | null): Promise<Catalogue> {
    const of = `${manifest.version} ${basis?.id}`;
    if (this.#loading?.of !== of) {
      const catalogue = this.#load(manifest, basis);
      this.#loading = { of, catalogue };
      catalogue.catch(() => {
        this.#loading = undefined;
      });
    }
    return this.#loading!.catalogue;
  }

  async #load(manifest: Manifest, basis: Basis | null): Promise<Catalogue> {
    const basisId = basis?.id ?? null;
    const sameBasis = this.#loaded?.basisId === basisId ? this.#loaded.shards : [];
    const known = new Map(sameBasis.map((shard) => [shard.name, shard]));
    const shards = new Array<LoadedShard>(manifest.shards.length);
    const queue = manifest.shards.entries();
    await Promise.all(
      Array.from({ length: LOADS_AT_ONCE }, async () => {
        for (const [i, { name, bucket }] of queue)
          shards[i] = known.get(name) ?? (await this.#loadShard(name, bucket, basis));
      }),
    );
    const { version, buckets } = manifest;
    this.#loaded = { version, items: itemCount(manifest), buckets, basisId, shards };
    return this.#loaded;
  }

  async #loadShard(name: string, bucket: number, basis: Basis | null): Promise<LoadedShard> {
    const [items, features] = await Promise.all([
      this.#get(itemsKey(name)),
      basis === null ? undefined : this.#objects.get(featuresKey(name, basis.id)),
    ]);
    const shard = decodeShard(items, name, itemsKey(name));
    if (basis === null) return { ...shard, bucket, features: null };
    // When the basis is newer than the shard, its features are not stored yet.
    const stored =
      typeof features === 'object' ? this.#decodedFeatures(features.body, shard, basis) : undefined;
    const used = stored ?? featuresOf(basis, await this.#embeddingsOf(name));
    return { ...shard, bucket, features: loadedFeatures(used) };
  }

  /** Features can be computed anew, so damage only costs time. */
  #decodedFeatures(bytes: Uint8Array, { name, keys }: Shard, basis: Basis): ShardFeatures | undefined {
    const key = featuresKey(name, basis.id);
    try {
      return decodeFeatures(bytes, { shard: name, basis: basis.id }, keys.length, basis.projectionDim, key);
    } catch (error) {
      if (!(error instanceof CorruptObjectError)) throw error;
      this.#onDamage(error);
      return undefined;
    }
  }

  async #embeddingsOf(name: string): Promise<Float16Array> {
    let found = this.#embeddings.get(name);
    this.#embeddings.delete(name);
    found ??= decodeEmbeddings(
      await this.#get(embeddingsKey(name)),
      this.#settings.embeddingDim,
      embeddingsKey(name),
    );
    this.#embeddings.set(name, found);
    let bytes = 0;
    for (const { byteLength } of this.#embeddings.values()) bytes += byteLength;
    for (const [oldest, { byteLength }] of this.#embeddings) {
      if (bytes <= EMBEDDING_CACHE_BYTES || oldest === name) break;
      this.#embeddings.delete(oldest);
      bytes -= byteLength;
    }
    return found;
  }

  async #get(key: string): Promise<Uint8Array> {
    const found = await this.#objects.get(key);
    if (found === undefined || found === 'not-modified') throw new MissingShard(key, 'a shard is missing');
    return found.body;
  }
}

class MissingShard extends CorruptObjectError {}

/** The place of an item; undefined when the catalogue does not have it. */
export function placeOf(catalogue: Pick<Catalogue, 'shards' | 'buckets'>, key: bigint): Place | undefined {
  const shard = shardOf(catalogue, bucketOf(key, catalogue.buckets));
  const row = shard === -1 ? -1 : rowOf(catalogue.shards[shard]!, key);
  return row === -1 ? undefined : { shard, row };
}

/** The places of those items that the catalogue has. */
export function placesOf(
  catalogue: Pick<Catalogue, 'shards' | 'buckets'>,
  keys: Iterable<bigint>,
): readonly Place[] {
  const { shards, buckets } = catalogue;
  const places: Place[] = [];
  const wanted = halvesOf(BigUint64Array.from(keys));
  const halves = new Array<Uint32Array | undefined>(shards.length);
  for (let i = 0; i < wanted.length; i += 2) {
    const [low, high] = [wanted[i]!, wanted[i + 1]!];
    const shard = shardOf(catalogue, bucketOfHigh(high, buckets));
    if (shard === -1) continue;
    halves[shard] ??= halvesOf(shards[shard]!.keys);
    const row = rowOfHalves(halves[shard], low, high);
    if (row !== -1) places.push({ shard, row });
  }
  return places;
}

/** Index of the shard of a bucket; −1 when it has none. */
function shardOf({ shards }: Pick<Catalogue, 'shards'>, bucket: number): number {
  // Every bucket has at most one shard, so a shard is at the index of its bucket, or before it when
  // buckets are empty.
  let shard = Math.min(bucket, shards.length - 1);
  while (shard >= 0 && shards[shard]!.bucket > bucket) shard--;
  return shard >= 0 && shards[shard]!.bucket === bucket ? shard : -1;
}

export function placeOfItem(
  catalogue: Pick<Catalogue, 'shards' | 'buckets'>,
  itemId: string,
): Place | undefined {
  return placeOf(catalogue, itemKey(itemId));
}
