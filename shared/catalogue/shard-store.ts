import { CorruptObjectError, shown } from '../errors.ts';
import type { Basis } from '../lora/basis.ts';
import type { Objects } from '../storage/objects.ts';
import { embeddingsKey, FEATURES_PREFIX, featuresKey, itemsKey, SHARDS_PREFIX } from './catalogue-keys.ts';
import { encodeFeatures, featuresOf } from './features.ts';
import type { CatalogueItem } from './item.ts';
import type { Manifest, ManifestShard } from './manifest.ts';
import { checkName, decodeEmbeddings, decodeShard, encodeShard, itemsOf } from './shard.ts';

interface ShardStoreOptions {
  readonly embeddingDim: number;
  /** The basis whose features are stored with the items; null when there is none yet. */
  readonly basis: Basis | null;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

const HOUR_MS = 3_600_000;
/** Shards of an interrupted upload are reused when they are younger than this. */
const REUSE_MS = 12 * HOUR_MS;
/**
 * Shards that no manifest names are deleted when they are older than this, which is longer than any
 * upload or read takes.
 */
const KEEP_MS = 24 * HOUR_MS;

export type Items = Map<string, CatalogueItem>;

/** The shards of the catalogue in S3, as its writer needs them; they never change. */
export class ShardStore {
  readonly #objects: Objects;
  readonly #options: ShardStoreOptions;

  constructor(objects: Objects, options: ShardStoreOptions) {
    this.#objects = objects;
    this.#options = options;
  }

  async put(bucket: number, items: readonly CatalogueItem[], present: ReadonlySet<string>) {
    const encoded = encodeShard(items, this.#options.embeddingDim);
    const { name, itemBytes, embeddingBytes } = encoded;
    const isNew = !present.has(itemsKey(name)) || !present.has(embeddingsKey(name));
    if (isNew) {
      await this.#objects.put(itemsKey(name), itemBytes);
      await this.#objects.put(embeddingsKey(name), embeddingBytes);
    }
    const { basis } = this.#options;
    if (basis !== null && !present.has(featuresKey(name, basis.id))) {
      const embeddings = decodeEmbeddings(embeddingBytes, this.#options.embeddingDim, embeddingsKey(name));
      await this.#putFeatures(name, basis, embeddings);
    }
    const shard = { bucket, name, items: encoded.items, bytes: itemBytes.length + embeddingBytes.length };
    return { shard, isNew };
  }

  async #putFeatures(name: string, basis: Basis, embeddings: Float16Array): Promise<void> {
    const bytes = encodeFeatures(name, basis.id, featuresOf(basis, embeddings));
    await this.#objects.put(featuresKey(name, basis.id), bytes);
  }

  /**
   * Objects that exist already and need not be written again: those of the catalogue to replace,
   * and young ones.
   */
  async present(manifest: Manifest | undefined): Promise<ReadonlySet<string>> {
    const named = namesOf(manifest);
    const present = new Set<string>();
    const youngest = this.#options.now() - REUSE_MS;
    for (const prefix of [SHARDS_PREFIX, FEATURES_PREFIX]) {
      for await (const { key, lastModified } of this.#objects.list(prefix)) {
        if (named.has(shardOf(key)) || lastModified.getTime() >= youngest) present.add(key);
      }
    }
    return present;
  }

  async deleteUnnamed(manifest: Manifest): Promise<void> {
    const named = namesOf(manifest);
    const oldest = this.#options.now() - KEEP_MS;
    const basis = this.#options.basis?.id;
    for (const prefix of [SHARDS_PREFIX, FEATURES_PREFIX]) {
      for await (const { key, lastModified } of this.#objects.list(prefix)) {
        if (lastModified.getTime() >= oldest) continue;
        const ofOtherBasis =
          prefix === FEATURES_PREFIX && basis !== undefined && !key.startsWith(`${FEATURES_PREFIX}${basis}/`);
        if (!named.has(shardOf(key)) || ofOtherBasis) await this.#objects.delete(key);
      }
    }
  }

  async itemsOf(shard: ManifestShard | undefined): Promise<Items> {
    if (shard === undefined) return new Map();
    const { name } = shard;
    const [itemBytes, embeddingBytes] = await Promise.all([
      this.#get(itemsKey(name)),
      this.#get(embeddingsKey(name)),
    ]);
    checkName(name, itemBytes, embeddingBytes, itemsKey(name));
    const embeddings = decodeEmbeddings(embeddingBytes, this.#options.embeddingDim, embeddingsKey(name));
    const items = itemsOf(decodeShard(itemBytes, name, itemsKey(name)), embeddings, itemsKey(name));
    return new Map(items.map((item) => [item.itemId, item]));
  }

  async #get(key: string): Promise<Uint8Array> {
    const found = await this.#objects.get(key);
    if (found === undefined || found === 'not-modified')
      throw new CorruptObjectError(key, `found ${shown(undefined)}, expected a part of the catalogue`);
    return found.body;
  }

  /**
   * Computes the features of a shard under a basis, and stores them.
   * @throws CorruptObjectError, UnavailableError
   */
  async storeFeatures(name: string, basis: Basis): Promise<void> {
    const key = embeddingsKey(name);
    const embeddings = decodeEmbeddings(await this.#get(key), this.#options.embeddingDim, key);
    await this.#putFeatures(name, basis, embeddings);
  }
}

function namesOf(manifest: Manifest | undefined): ReadonlySet<string> {
  return new Set(manifest?.shards.map(({ name }) => name));
}

/** Name of the shard of an object under either prefix. */
function shardOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1).replace(/\..*$/, '');
}
