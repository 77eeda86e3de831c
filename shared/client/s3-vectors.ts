/// <reference types="node" preserve="true" />
/// <reference lib="esnext.float16" preserve="true" />
/// <reference lib="esnext.disposable" preserve="true" />
import type { S3VectorsClient } from '@aws-sdk/client-s3vectors';
import { InvalidInputError } from '../errors.ts';
import { decodeEmbedding, type EmbeddingInput } from '../feedback/embedding-codec.ts';
import type { Attune } from './client.ts';

export interface VectorSearchOptions {
  /** The client that knows the users' tastes; its deployment needs no catalogue. */
  readonly attune: Pick<Attune, 'search'>;
  /** A client of `@aws-sdk/client-s3vectors`, which the application installs. */
  readonly client: S3VectorsClient;
  readonly vectorBucketName: string;
  /** An index with the distance metric `cosine` and the deployment's embedding length. */
  readonly indexName: string;
}

export interface VectorItem {
  readonly itemId: string;
  readonly embedding: EmbeddingInput;
  /** Metadata that S3 Vectors can filter by. */
  readonly metadata?: Readonly<Record<string, string | number | boolean | string[]>> | undefined;
}

export interface VectorSearchRequest {
  readonly userId: string;
  readonly query: EmbeddingInput;
  /** 1 to 100; default 20. */
  readonly limit?: number | undefined;
  /** A filter of S3 Vectors over the metadata. */
  readonly filter?: object | undefined;
}

/** Limits of S3 Vectors. */
const PUT_AT_ONCE = 500;
const MOST_CANDIDATES = 100;
/** Candidates per item of the answer: an approximate index misses some. */
const OVERSAMPLING = 5;

/**
 * Personalised search over an index of Amazon S3 Vectors, for catalogues that exceed the memory of
 * a function. The index gives approximate candidates. Their scores are exact, those of
 * `attune.search`.
 */
export class VectorSearch {
  readonly #options: VectorSearchOptions;

  constructor(options: VectorSearchOptions) {
    this.#options = options;
  }

  /**
   * Adds items, and replaces those with the same id.
   * @throws InvalidInputError when an embedding has no direction; errors of the client
   */
  async put(items: AsyncIterable<VectorItem> | Iterable<VectorItem>): Promise<void> {
    let waiting: VectorItem[] = [];
    for await (const item of items) {
      if (waiting.push(item) < PUT_AT_ONCE) continue;
      await this.#put(waiting);
      waiting = [];
    }
    if (waiting.length > 0) await this.#put(waiting);
  }

  /**
   * Returns items by a query and the user's taste together, best first.
   * @throws like `attune.search`; errors of the client
   */
  async search({
    userId,
    query,
    limit = 20,
    filter,
  }: VectorSearchRequest): Promise<{ readonly itemId: string; readonly score: number }[]> {
    if (!(Number.isInteger(limit) && limit >= 1 && limit <= MOST_CANDIDATES))
      throw new InvalidInputError('limit', `${limit}`, `a whole number from 1 to ${MOST_CANDIDATES}`);
    const { attune, client, vectorBucketName, indexName } = this.#options;
    const { queryVector } = await attune.search({ userId, query, queryVector: true, limit: 1 });
    const { GetVectorsCommand, QueryVectorsCommand } = await import('@aws-sdk/client-s3vectors');
    const { vectors: candidates = [] } = await client.send(
      new QueryVectorsCommand({
        ...{ vectorBucketName, indexName, filter: filter as never },
        queryVector: { float32: [...queryVector!] },
        topK: Math.min(MOST_CANDIDATES, OVERSAMPLING * limit),
      }),
    );
    if (candidates.length === 0) return [];
    const { vectors = [] } = await client.send(
      new GetVectorsCommand({
        ...{ vectorBucketName, indexName, returnData: true },
        keys: candidates.map(({ key }) => key!),
      }),
    );
    return vectors
      .map(({ key, data }) => ({ itemId: key!, score: product(queryVector!, data!.float32!) }))
      .sort((a, b) => b.score - a.score || (a.itemId < b.itemId ? -1 : 1))
      .slice(0, limit);
  }

  async #put(items: readonly VectorItem[]): Promise<void> {
    const { client, vectorBucketName, indexName } = this.#options;
    const { PutVectorsCommand } = await import('@aws-sdk/client-s3vectors');
    const vectors = items.map(({ itemId, embedding, metadata }) => ({
      key: itemId,
      data: { float32: unitVector(embedding, itemId) },
      ...(metadata === undefined ? {} : { metadata }),
    }));
    await client.send(new PutVectorsCommand({ vectorBucketName, indexName, vectors }));
  }
}

function unitVector(embedding: EmbeddingInput, itemId: string): number[] {
  const vector = decodeEmbedding(embedding, undefined, `embedding of ${itemId}`);
  const norm = Math.hypot(...vector);
  if (norm === 0)
    throw new InvalidInputError(`embedding of ${itemId}`, 'a vector without a direction', 'one with');
  return Array.from(vector, (value) => value / norm);
}

function product(x: ArrayLike<number>, y: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * y[i]!;
  return sum;
}
