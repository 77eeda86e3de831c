import { PREFIX } from '../config/names.ts';

/** Keys of the catalogue's objects in the bucket. */
export const MANIFEST_KEY = `${PREFIX.catalogue}manifest`;
export const SHARDS_PREFIX = `${PREFIX.catalogue}shards/`;
export const FEATURES_PREFIX = `${PREFIX.catalogue}features/`;

export const itemsKey = (shard: string) => `${SHARDS_PREFIX}${shard}.items`;
export const embeddingsKey = (shard: string) => `${SHARDS_PREFIX}${shard}.embeddings`;
export const featuresKey = (shard: string, basis: string) => `${FEATURES_PREFIX}${basis}/${shard}`;
