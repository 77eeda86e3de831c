import type { VerifiedBody } from './body.ts';
import type { Bucket } from './bucket.ts';
import type { ObjectTable } from './object-table.ts';
import type { S3Request } from './request.ts';

/** A complete and verified request, with the bucket and the table of objects. */
export interface S3Call extends S3Request {
  readonly table: ObjectTable;
  readonly bucket: Bucket;
  readonly body: VerifiedBody;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /**
   * @param key without it, the resource is the bucket
   * @throws S3Error AccessDenied when the caller has no permission
   */
  readonly authorize: (action: string, key?: string, context?: Readonly<Record<string, string>>) => void;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** XML text, or the bytes of an object. */
  readonly body?: string | Uint8Array;
}

/**
 * One operation of the S3 API, with its supported parameters and headers. The router refuses all
 * others.
 */
export interface Operation {
  readonly name: string;
  readonly method: string;
  readonly on: 'bucket' | 'object';
  /** A query parameter and its value, to distinguish operations with the same method. */
  readonly selector?: readonly [name: string, value: string];
  readonly query: readonly string[];
  /**
   * Supported header fields with an effect (`x-amz-*`, `if-*`, …). A name that ends in `*` is a
   * prefix.
   */
  readonly headers: readonly string[];
  run(call: S3Call): Reply;
}
