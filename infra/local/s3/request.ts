import type { IncomingMessage } from 'node:http';
import { invalidArgument, S3Error } from './s3-error.ts';

/** A request without its body. */
export interface S3Request {
  readonly method: string;
  /** Empty for the service itself. */
  readonly bucketName: string;
  /** Empty for the bucket itself. */
  readonly key: string;
  readonly query: URLSearchParams;
  /** Names are in lower case. */
  readonly headers: ReadonlyMap<string, string>;
}

/** S3's limit on the UTF-8 length of a key. */
const MAX_KEY_BYTES = 1024;

/**
 * Parses a path-style request (`/bucket/key?query`). Does not normalize the path: `a/../b` and
 * `a//b` are keys.
 * @throws S3Error InvalidURI or KeyTooLongError
 */
export function parseRequest(request: IncomingMessage): S3Request {
  const [path = '', ...query] = (request.url ?? '').split('?');
  const [, bucketName = '', ...key] = path.split('/').map(decode);
  const parsed = {
    method: request.method ?? '',
    bucketName,
    key: key.join('/'),
    query: new URLSearchParams(query.join('?')),
    headers: new Map(
      Object.entries(request.headers).map(([name, value]) => [
        name,
        Array.isArray(value) ? value.join(', ') : (value ?? ''),
      ]),
    ),
  };
  if (Buffer.byteLength(parsed.key) > MAX_KEY_BYTES) {
    throw new S3Error(400, 'KeyTooLongError', `Your key is longer than ${MAX_KEY_BYTES} bytes.`);
  }
  return parsed;
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch (cause) {
    if (!(cause instanceof URIError)) throw cause;
    throw new S3Error(400, 'InvalidURI', 'The path is not percent-encoded UTF-8.');
  }
}

/** A whole number in the query, such as `max-keys`. */
export function countFrom(query: URLSearchParams, name: string, absent: number): number {
  const text = query.get(name);
  if (text === null) return absent;
  if (!/^\d{1,9}$/.test(text)) {
    throw invalidArgument(`${name}: found ${text}, expected a whole number from 0`);
  }
  return Number(text);
}

/** Checks that a version id has the format of this server, or is the string `null`. */
export function checkedVersionId(versionId: string): string {
  if (!/^(null|[0-9a-f]{32})$/.test(versionId)) throw invalidArgument('Invalid version id specified');
  return versionId;
}
