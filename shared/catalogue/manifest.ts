import * as z from 'zod';
import { decodeDocument, encodeDocument } from '../storage/tensor-document.ts';

/**
 * Lists the shards of the catalogue. It is the only mutable object of the catalogue, so that a
 * reader sees one version or another.
 */
export interface Manifest {
  /** Number of changes; the first is 1. */
  readonly version: number;
  readonly embeddingModel: string;
  readonly embeddingDim: number;
  /** A power of two. The first bits of an item's key give its bucket. */
  readonly buckets: number;
  /** In the order of their buckets; an empty bucket has no shard. */
  readonly shards: readonly ManifestShard[];
  /** Epoch milliseconds. */
  readonly updatedAt: number;
}

export interface ManifestShard {
  readonly bucket: number;
  readonly name: string;
  readonly items: number;
  /** Of both objects. */
  readonly bytes: number;
}

const FORMAT = 'attune-catalogue';
const FORMAT_VERSION = 1;

const content = z.strictObject({
  version: z.int().min(1),
  embeddingModel: z.string(),
  embeddingDim: z.int().min(1).max(4096),
  buckets: z.int().min(1).max(65_536),
  shards: z.array(
    z.strictObject({
      bucket: z.int().min(0),
      name: z.string().regex(/^[0-9a-f]{64}$/),
      items: z.int().min(1),
      bytes: z.int().min(1),
    }),
  ),
  updatedAt: z.int().min(0),
});

export function encodeManifest(manifest: Manifest): Uint8Array {
  const document: z.input<typeof content> = { ...manifest, shards: [...manifest.shards] };
  return encodeDocument(FORMAT, FORMAT_VERSION, { tensors: {}, content: document });
}

/** @throws CorruptObjectError when the bytes are not what {@link encodeManifest} wrote */
export function decodeManifest(bytes: Uint8Array, key: string): Manifest {
  return decodeDocument(bytes, key, FORMAT, FORMAT_VERSION, content).content;
}

/** The bucket of an item among `buckets`, a power of two of at most 65,536. */
export function bucketOf(key: bigint, buckets: number): number {
  return bucketOfHigh(Number(key >> 32n), buckets);
}

/** The same from the first 32 bits of the key. */
export function bucketOfHigh(high: number, buckets: number): number {
  return Math.floor((high / 2 ** 32) * buckets);
}

export function itemCount({ shards }: Pick<Manifest, 'shards'>): number {
  return shards.reduce((sum, { items }) => sum + items, 0);
}
