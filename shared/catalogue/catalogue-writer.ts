import { itemKey } from '../episodes/episode.ts';
import { ConflictError, CorruptObjectError, InvalidInputError } from '../errors.ts';
import { inParallel } from '../in-parallel.ts';
import type { Basis } from '../lora/basis.ts';
import type { Objects } from '../storage/objects.ts';
import { readableOf, SKIPPED_AFTER_DAMAGE } from '../storage/readable.ts';
import { FEATURES_PREFIX, featuresKey, MANIFEST_KEY } from './catalogue-keys.ts';
import type { CatalogueItem } from './item.ts';
import {
  bucketOf,
  decodeManifest,
  encodeManifest,
  itemCount,
  type Manifest,
  type ManifestShard,
} from './manifest.ts';
import { type Items, ShardStore } from './shard-store.ts';

export interface CatalogueSettings {
  readonly embeddingDim: number;
  readonly embeddingModel: string;
}

export interface WriterOptions {
  /** The basis whose features are stored with the items; null when there is none yet. */
  readonly basis: Basis | null;
  /** Epoch milliseconds. */
  readonly now: () => number;
  /** Whether to write existing objects again, because they may be damaged. */
  readonly rewrite?: boolean;
  /** Items written so far. */
  readonly onProgress?: (items: number) => void;
}

export interface Written {
  readonly version: number;
  readonly items: number;
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  readonly shardsWritten: number;
}

/** Approximate items per shard. A change of one item rewrites one shard. */
const SHARD_ITEMS = 4_096;
/** Shards may grow by this factor on average; then all are split anew. */
const MOST_GROWTH = 2;
export const MAX_ITEMS = 1_000_000;
const MAX_ATTEMPTS = 5;
const UPLOADS_AT_ONCE = 4;
interface Standing {
  readonly manifest: Manifest | undefined;
  readonly etag: string | undefined;
  /** Why the newest manifest cannot be read. */
  readonly damage?: CorruptObjectError | undefined;
}

/**
 * Changes the catalogue. Shards are written first, each under the hash of its content; the
 * conditional write of the manifest is the commit. A crash before it leaves the earlier version,
 * and shards that the next upload reuses.
 */
export class CatalogueWriter {
  readonly #objects: Objects;
  readonly #settings: CatalogueSettings;
  readonly #options: WriterOptions;
  readonly #shards: ShardStore;

  constructor(objects: Objects, settings: CatalogueSettings, options: WriterOptions) {
    this.#objects = objects;
    this.#settings = settings;
    this.#options = options;
    const { basis, now } = options;
    this.#shards = new ShardStore(objects, { embeddingDim: settings.embeddingDim, basis, now });
  }

  /**
   * Replaces the whole catalogue. Of several items with the same id, the last counts.
   * @throws ConflictError when another change was committed meanwhile, which this one would undo;
   * UnavailableError
   */
  async put(items: AsyncIterable<CatalogueItem> | Iterable<CatalogueItem>): Promise<Written> {
    const standing = await this.#read();
    const all: Items = new Map();
    for await (const item of items) all.set(item.itemId, item);
    if (all.size === 0) throw new InvalidInputError('items', 'none', 'at least one');
    return this.#commitAll(all, standing, { added: all.size, changed: 0, removed: 0 });
  }

  /**
   * Adds or replaces items.
   * @throws ConflictError when other writers won every attempt, UnavailableError
   */
  async update(items: Iterable<CatalogueItem>): Promise<Written> {
    return this.#change(new Map([...items].map((item) => [item.itemId, item])));
  }

  /**
   * Removes items; unknown ids are ignored.
   * @throws ConflictError, UnavailableError
   */
  async remove(itemIds: Iterable<string>): Promise<Written> {
    return this.#change(new Map([...itemIds].map((itemId) => [itemId, undefined])));
  }

  /**
   * Stores the features of every shard that has none under the basis yet.
   * @param hasTime asked before each shard
   * @returns how many shards it wrote
   * @throws CorruptObjectError, UnavailableError
   */
  async storeFeatures(basis: Basis, hasTime: () => boolean = () => true): Promise<number> {
    const { manifest, damage } = await this.#read();
    if (damage !== undefined) throw damage;
    const there = new Set<string>();
    for await (const { key } of this.#objects.list(`${FEATURES_PREFIX}${basis.id}/`)) there.add(key);
    let written = 0;
    for (const { name } of manifest?.shards ?? []) {
      if (there.has(featuresKey(name, basis.id))) continue;
      if (!hasTime()) break;
      await this.#shards.storeFeatures(name, basis);
      written++;
    }
    return written;
  }

  async #change(changes: ReadonlyMap<string, CatalogueItem | undefined>): Promise<Written> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#tryChange(changes);
      } catch (error) {
        if (!(error instanceof ConflictError) || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  async #tryChange(changes: ReadonlyMap<string, CatalogueItem | undefined>): Promise<Written> {
    const standing = await this.#read();
    const { manifest, damage } = standing;
    if (damage !== undefined)
      throw new CorruptObjectError(MANIFEST_KEY, 'damaged; putting the whole catalogue replaces it');
    const buckets = manifest?.buckets ?? 1;
    const grouped = Map.groupBy(changes, ([itemId]) => bucketOf(itemKey(itemId), buckets));
    const counts = { added: 0, changed: 0, removed: 0 };
    const shards = new Map(manifest?.shards.map((shard) => [shard.bucket, shard]));
    const changed: [bucket: number, items: CatalogueItem[]][] = [];
    for (const [bucket, group] of grouped) {
      const items = await this.#shards.itemsOf(shards.get(bucket));
      for (const [itemId, item] of group) {
        const known = items.has(itemId);
        if (item === undefined) counts.removed += items.delete(itemId) ? 1 : 0;
        else {
          items.set(itemId, item);
          counts[known ? 'changed' : 'added']++;
        }
      }
      shards.delete(bucket);
      changed.push([bucket, [...items.values()]]);
    }
    const total =
      itemCount({ shards: [...shards.values()] }) + changed.reduce((n, [, { length }]) => n + length, 0);
    if (total > buckets * SHARD_ITEMS * MOST_GROWTH) {
      const all: Items = new Map();
      for (const shard of shards.values())
        for (const [id, item] of await this.#shards.itemsOf(shard)) all.set(id, item);
      for (const [, items] of changed) for (const item of items) all.set(item.itemId, item);
      return this.#commitAll(all, standing, counts);
    }
    return this.#commit([...shards.values()], changed, buckets, standing, counts);
  }

  async #commitAll(all: Items, standing: Standing, counts: Counts): Promise<Written> {
    if (all.size > MAX_ITEMS) throw new InvalidInputError('items', `${all.size}`, `at most ${MAX_ITEMS}`);
    const buckets = 2 ** Math.max(0, Math.ceil(Math.log2(all.size / SHARD_ITEMS)));
    const grouped = Map.groupBy(all.values(), ({ itemId }) => bucketOf(itemKey(itemId), buckets));
    return this.#commit([], [...grouped], buckets, standing, counts);
  }

  async #commit(
    kept: readonly ManifestShard[],
    changed: readonly [bucket: number, items: CatalogueItem[]][],
    buckets: number,
    { manifest, etag, damage }: Standing,
    counts: Counts,
  ): Promise<Written> {
    const { now, onProgress } = this.#options;
    const present = this.#options.rewrite ? new Set<string>() : await this.#shards.present(manifest);
    const shards = [...kept];
    let shardsWritten = 0;
    let done = 0;
    await inParallel(
      changed.filter(([, { length }]) => length > 0),
      UPLOADS_AT_ONCE,
      async ([bucket, items]) => {
        const { shard, isNew } = await this.#shards.put(bucket, items, present);
        shards.push(shard);
        shardsWritten += isNew ? 1 : 0;
        done += items.length;
        onProgress?.(done);
      },
    );
    shards.sort((a, b) => a.bucket - b.bucket);
    const next: Manifest = {
      version: (manifest?.version ?? 0) + 1 + (damage === undefined ? 0 : SKIPPED_AFTER_DAMAGE),
      embeddingModel: this.#settings.embeddingModel,
      embeddingDim: this.#settings.embeddingDim,
      buckets,
      shards,
      updatedAt: now(),
    };
    await this.#objects.put(
      MANIFEST_KEY,
      encodeManifest(next),
      etag === undefined ? { ifNoneMatch: true } : { ifMatch: etag },
    );
    await this.#shards.deleteUnnamed(next);
    return { version: next.version, items: itemCount(next), ...counts, shardsWritten };
  }

  async #read(): Promise<Standing> {
    const found = await this.#objects.get(MANIFEST_KEY);
    if (found === undefined || found === 'not-modified') return { manifest: undefined, etag: undefined };
    const {
      value: manifest,
      etag,
      damage,
    } = await readableOf(found, MANIFEST_KEY, this.#objects, decodeManifest);
    if (manifest === undefined) return { manifest, etag, damage };
    const { embeddingDim, embeddingModel } = this.#settings;
    // Items of other embeddings cannot be combined with new ones, so only a whole new catalogue
    // replaces them.
    const fits = manifest.embeddingDim === embeddingDim && manifest.embeddingModel === embeddingModel;
    return { manifest: fits ? manifest : { ...manifest, buckets: 1, shards: [] }, etag, damage };
  }
}

interface Counts {
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
}
