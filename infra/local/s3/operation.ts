import type { VerifiedBody } from './body.ts';
import type { Bucket } from './bucket.ts';
import type { ObjectTable } from './object-table.ts';
import type { S3Request } from './request.ts';

/** What an operation works on: all of the request, read and verified. */
export interface S3Call extends S3Request {
  readonly table: ObjectTable;
  readonly into: Bucket;
  readonly body: VerifiedBody;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** XML as text, or an object's bytes. */
  readonly body?: string | Uint8Array;
}

/** One call of the S3 API, and everything of it that is understood; whatever else a request has is refused. */
export interface Operation {
  readonly name: string;
  readonly method: string;
  readonly on: 'bucket' | 'object';
  /** The query parameter, and its value, that tells it from others with the same method. */
  readonly selector?: readonly [name: string, value: string];
  readonly query: readonly string[];
  /** Header fields with a meaning (`x-amz-*`, `if-*`, …); a name that ends in `*` stands for all that begin so. */
  readonly headers: readonly string[];
  run(call: S3Call): Reply;
}
