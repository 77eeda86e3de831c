import type { Bucket } from './bucket.ts';
import type { ObjectTable } from './object-table.ts';
import { endOfPrefix, type ObjectVersion, seqOf } from './object-version.ts';
import type { Operation } from './operation.ts';
import { checkedVersionId, countFrom } from './request.ts';
import { invalidArgument } from './s3-error.ts';
import { xmlDocument } from './xml.ts';

/** S3's limit of entries per page. */
const MAX_PAGE = 1000;

export const listObjectsV2: Operation = {
  name: 'ListObjectsV2',
  method: 'GET',
  on: 'bucket',
  selector: ['list-type', '2'],
  query: ['list-type', 'prefix', 'delimiter', 'max-keys', 'continuation-token', 'encoding-type'],
  headers: [],
  run({ table, bucket, query, authorize }) {
    const { prefix, maxKeys, name } = commonParameters(query);
    authorize('s3:ListBucket', undefined, { 's3:prefix': prefix });
    const delimiter = query.get('delimiter') ?? '';
    const token = query.get('continuation-token');
    const page: Entry[] = [];
    let truncated = false;
    for (const entry of entries(table, bucket, prefix, delimiter, token)) {
      truncated = page.length === maxKeys;
      if (truncated) break;
      page.push(entry);
    }
    const last = page.at(-1);
    return {
      status: 200,
      body: xmlDocument('ListBucketResult', {
        Name: bucket.name,
        Prefix: name(prefix),
        Delimiter: delimiter === '' ? undefined : name(delimiter),
        EncodingType: query.get('encoding-type') ?? undefined,
        MaxKeys: maxKeys,
        KeyCount: page.length,
        IsTruncated: truncated && last !== undefined,
        ContinuationToken: token ?? undefined,
        NextContinuationToken: truncated && last !== undefined ? tokenOf(last.next) : undefined,
        Contents: page.flatMap(({ object }) => (object === undefined ? [] : [contents(object, name)])),
        CommonPrefixes: page.flatMap(({ commonPrefix }) =>
          commonPrefix === undefined ? [] : [{ Prefix: name(commonPrefix) }],
        ),
      }),
    };
  },
};

export const listObjectVersions: Operation = {
  name: 'ListObjectVersions',
  method: 'GET',
  on: 'bucket',
  selector: ['versions', ''],
  query: ['versions', 'prefix', 'max-keys', 'key-marker', 'version-id-marker', 'encoding-type'],
  headers: [],
  run({ table, bucket, query, authorize }) {
    const { prefix, maxKeys, name } = commonParameters(query);
    authorize('s3:ListBucketVersions', undefined, { 's3:prefix': prefix });
    const keyMarker = query.get('key-marker') ?? '';
    const versionMarker = query.get('version-id-marker');
    if (versionMarker !== null && keyMarker === '') {
      throw invalidArgument('A version-id marker cannot be specified without a key marker.');
    }
    // The marker stays valid after the deletion of its version, so clients can delete versions page
    // by page.
    const beforeSeq = versionMarker === null ? 0 : seqOf(checkedVersionId(versionMarker));
    const marked = keyMarker !== '' && Buffer.compare(Buffer.from(keyMarker), Buffer.from(prefix)) >= 0;
    const from = marked
      ? { key: Buffer.from(keyMarker), beforeSeq }
      : { key: Buffer.from(prefix), beforeSeq: Number.MAX_SAFE_INTEGER };
    const found = table.versionsBetween(bucket, from, endOfPrefix(prefix), maxKeys + 1);
    const page = found.slice(0, maxKeys);
    const last = found.length > maxKeys ? page.at(-1) : undefined;
    return {
      status: 200,
      body: xmlDocument('ListVersionsResult', {
        Name: bucket.name,
        Prefix: name(prefix),
        KeyMarker: name(keyMarker),
        VersionIdMarker: versionMarker ?? undefined,
        EncodingType: query.get('encoding-type') ?? undefined,
        MaxKeys: maxKeys,
        IsTruncated: last !== undefined,
        NextKeyMarker: last === undefined ? undefined : name(last.key),
        NextVersionIdMarker: last?.versionId,
        Version: page
          .filter((version) => !version.deleteMarker)
          .map((version) => ({
            ...contents(version, name),
            VersionId: version.versionId,
            IsLatest: version.latest,
          })),
        DeleteMarker: page
          .filter((version) => version.deleteMarker)
          .map((version) => ({
            Key: name(version.key),
            VersionId: version.versionId,
            IsLatest: version.latest,
            LastModified: new Date(version.modified).toISOString(),
          })),
      }),
    };
  },
};

function commonParameters(query: URLSearchParams) {
  return {
    prefix: query.get('prefix') ?? '',
    maxKeys: Math.min(countFrom(query, 'max-keys', MAX_PAGE), MAX_PAGE),
    name: encoding(query),
  };
}

/** An object or a common prefix, with the position after it. */
interface Entry {
  readonly object?: ObjectVersion;
  readonly commonPrefix?: string;
  readonly next: Uint8Array;
}

function* entries(
  table: ObjectTable,
  bucket: Bucket,
  prefix: string,
  delimiter: string,
  token: string | null,
): Generator<Entry> {
  const to = endOfPrefix(prefix);
  let from: Uint8Array = token === null ? Buffer.from(prefix) : positionOf(token, prefix);
  for (;;) {
    const object = table.firstBetween(bucket, from, to);
    if (object === undefined) return;
    const end = delimiter === '' ? -1 : object.key.indexOf(delimiter, prefix.length);
    if (end < 0) {
      // The next possible key is this key plus a zero byte.
      from = Buffer.concat([Buffer.from(object.key), Uint8Array.of(0)]);
      yield { object, next: from };
    } else {
      const commonPrefix = object.key.slice(0, end + delimiter.length);
      from = endOfPrefix(commonPrefix);
      yield { commonPrefix, next: from };
    }
  }
}

const tokenOf = (position: Uint8Array) => Buffer.from(position).toString('base64url');

function positionOf(token: string, prefix: string): Uint8Array {
  const position = Buffer.from(token, 'base64url');
  const belongs = tokenOf(position) === token && Buffer.compare(position, Buffer.from(prefix)) >= 0;
  if (!belongs) throw invalidArgument('The continuation token provided is incorrect');
  return position;
}

function contents(object: ObjectVersion, name: (key: string) => string) {
  return {
    Key: name(object.key),
    LastModified: new Date(object.modified).toISOString(),
    ETag: object.etag,
    Size: object.size,
    StorageClass: 'STANDARD',
  };
}

/**
 * The encoding of names: none, or percent encoding if the request asks for it, as the AWS CLI does.
 */
function encoding(query: URLSearchParams): (name: string) => string {
  const type = query.get('encoding-type');
  if (type === null) return (name) => name;
  if (type !== 'url') throw invalidArgument(`encoding-type: found ${type}, expected url`);
  return (name) => encodeURIComponent(name).replaceAll('%2F', '/');
}
