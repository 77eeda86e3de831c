import { createHash } from 'node:crypto';
import { type ObjectVersion, TAGGING } from './object-version.ts';
import type { Operation, Reply, S3Call } from './operation.ts';
import { checkedVersionId } from './request.ts';
import { noSuchKey, notImplemented, preconditionFailed, S3Error } from './s3-error.ts';

/** Header fields of a PUT that GET and HEAD return, in addition to `x-amz-meta-*`. */
const STORED_HEADERS = [
  'content-type',
  'content-encoding',
  'content-language',
  'content-disposition',
  'cache-control',
  'expires',
];

const MAX_USER_METADATA_BYTES = 2048;

export const putObject: Operation = {
  name: 'PutObject',
  method: 'PUT',
  on: 'object',
  query: [],
  headers: [
    'if-match',
    'if-none-match',
    'content-md5',
    'x-amz-meta-*',
    'x-amz-checksum-*',
    'x-amz-decoded-content-length',
    'x-amz-trailer',
    TAGGING,
  ],
  run({ table, bucket, key, headers, body, now, authorize }) {
    const ifMatch = headers.get('if-match');
    const ifNoneMatch = headers.get('if-none-match');
    authorize('s3:PutObject', key, {
      's3:ObjectCreationOperation': 'true',
      ...(ifMatch !== undefined && { 's3:if-match': ifMatch }),
      ...(ifNoneMatch !== undefined && { 's3:if-none-match': ifNoneMatch }),
    });
    if (headers.has(TAGGING)) authorize('s3:PutObjectTagging', key);
    const current = unlessDeleted(table.latest(bucket, key));
    if (ifMatch !== undefined) {
      if (ifMatch === '*' || ifNoneMatch !== undefined) {
        throw notImplemented('PutObject with If-Match: * or with both conditions');
      }
      if (current === undefined) throw noSuchKey();
      if (!matches(ifMatch, current)) throw preconditionFailed('If-Match');
    }
    if (ifNoneMatch !== undefined) {
      if (ifNoneMatch !== '*') throw notImplemented('PutObject with If-None-Match other than *');
      if (current !== undefined) throw preconditionFailed('If-None-Match');
    }
    const etag = etagOf(body.bytes);
    const written = table.put(
      bucket,
      key,
      { bytes: body.bytes, etag, headers: storedHeaders(headers), checksum: body.checksum },
      now,
    );
    return {
      status: 200,
      headers: { etag, ...versionHeaders({ bucket }, written), ...checksumHeaders(written) },
    };
  },
};

export const getObject: Operation = {
  name: 'GetObject',
  method: 'GET',
  on: 'object',
  query: ['versionId'],
  headers: ['if-match', 'if-none-match', 'x-amz-checksum-mode'],
  run: (call) => {
    const object = findObject(call);
    const unmet = unmetCondition(call, object);
    if (unmet !== undefined) return unmet;
    const body = call.table.bytes(object);
    const headers = objectHeaders(call, object);
    // Damage in the data folder's file fails the checksum. The SDK would take that for damage in
    // transit and retry forever, so no checksum is returned. Attune's objects have checksums of
    // their own.
    if (object.checksum !== undefined && etagOf(body) !== object.etag) delete headers[object.checksum.header];
    return { status: 200, headers, body };
  },
};

export const headObject: Operation = {
  ...getObject,
  name: 'HeadObject',
  method: 'HEAD',
  run: (call) => {
    const object = findObject(call);
    return unmetCondition(call, object) ?? { status: 200, headers: objectHeaders(call, object) };
  },
};

export const deleteObject: Operation = {
  name: 'DeleteObject',
  method: 'DELETE',
  on: 'object',
  query: ['versionId'],
  headers: ['if-match'],
  run(call) {
    const { table, bucket, key, query, headers } = call;
    const versionId = query.get('versionId');
    authorizeDeletion(call, key, versionId);
    const ifMatch = headers.get('if-match');
    if (ifMatch !== undefined) {
      if (versionId !== null) throw notImplemented('DeleteObject with If-Match and versionId');
      const current = unlessDeleted(table.latest(bucket, key));
      if (current === undefined) throw noSuchKey();
      if (ifMatch !== '*' && !matches(ifMatch, current)) throw preconditionFailed('If-Match');
    }
    return { status: 204, headers: versionHeaders(call, deleteKey(call, key, versionId)) };
  },
};

/**
 * Deletes a key; in a versioned bucket, this creates a delete marker. With a version id, deletes
 * that version.
 * @returns the new delete marker or the deleted version; undefined when there was none
 */
export function deleteKey(
  { table, bucket, now }: Pick<S3Call, 'table' | 'bucket' | 'now'>,
  key: string,
  versionId: string | null,
): ObjectVersion | undefined {
  if (versionId === null && bucket.versioned) return table.putDeleteMarker(bucket, key, now);
  const version = table.version(bucket, key, checkedVersionId(versionId ?? 'null'));
  if (version !== undefined) table.remove(bucket, version);
  return version;
}

function unlessDeleted(version: ObjectVersion | undefined): ObjectVersion | undefined {
  return version?.deleteMarker ? undefined : version;
}

function etagOf(bytes: Uint8Array): string {
  return `"${createHash('md5').update(bytes).digest('hex')}"`;
}

/** Compares ETags with or without quotes, as S3 does. */
function matches(condition: string, { etag }: ObjectVersion): boolean {
  return condition === etag || `"${condition}"` === etag;
}

/** Deleting a version needs another permission than deleting the newest one. */
export function authorizeDeletion(
  { authorize }: Pick<S3Call, 'authorize'>,
  key: string,
  versionId: string | null,
): void {
  authorize(versionId === null ? 's3:DeleteObject' : 's3:DeleteObjectVersion', key);
}

function findObject({ table, bucket, key, query, authorize }: S3Call): ObjectVersion {
  const versionId = query.get('versionId');
  authorize(versionId === null ? 's3:GetObject' : 's3:GetObjectVersion', key);
  if (versionId === null) {
    const latest = table.latest(bucket, key);
    // A caller without permission to list the bucket does not learn that a key is missing.
    if (latest === undefined || latest.deleteMarker) authorize('s3:ListBucket');
    if (latest === undefined) throw noSuchKey();
    if (latest.deleteMarker) throw noSuchKey(versionHeaders({ bucket }, latest));
    return latest;
  }
  const version = table.version(bucket, key, checkedVersionId(versionId));
  if (version === undefined) throw new S3Error(404, 'NoSuchVersion', 'The specified version does not exist.');
  if (version.deleteMarker) {
    throw new S3Error(405, 'MethodNotAllowed', 'The specified version is a delete marker.', {
      allow: 'DELETE',
      ...versionHeaders({ bucket }, version),
    });
  }
  return version;
}

function unmetCondition({ bucket, headers }: S3Call, object: ObjectVersion): Reply | undefined {
  const ifMatch = headers.get('if-match');
  if (ifMatch !== undefined && ifMatch !== '*' && !matches(ifMatch, object)) {
    throw preconditionFailed('If-Match');
  }
  const ifNoneMatch = headers.get('if-none-match');
  if (ifNoneMatch === undefined || (ifNoneMatch !== '*' && !matches(ifNoneMatch, object))) return undefined;
  return { status: 304, headers: { etag: object.etag, ...versionHeaders({ bucket }, object) } };
}

function objectHeaders({ bucket, headers }: S3Call, object: ObjectVersion): Record<string, string> {
  const { [TAGGING]: tags, ...stored } = object.headers;
  return {
    ...stored,
    ...(tags === undefined ? {} : { 'x-amz-tagging-count': String(tags.split('&').length) }),
    'content-length': String(object.size),
    'last-modified': new Date(object.modified).toUTCString(),
    etag: object.etag,
    ...versionHeaders({ bucket }, object),
    ...(headers.has('x-amz-checksum-mode') ? checksumHeaders(object) : {}),
  };
}

function versionHeaders(
  { bucket }: Pick<S3Call, 'bucket'>,
  version: ObjectVersion | undefined,
): Record<string, string> {
  if (version === undefined || !bucket.versioned) return {};
  return {
    'x-amz-version-id': version.versionId,
    ...(version.deleteMarker ? { 'x-amz-delete-marker': 'true' } : {}),
  };
}

function checksumHeaders({ checksum }: ObjectVersion): Record<string, string> {
  if (checksum === undefined) return {};
  return { [checksum.header]: checksum.value, 'x-amz-checksum-type': 'FULL_OBJECT' };
}

function storedHeaders(headers: ReadonlyMap<string, string>): Record<string, string> {
  const stored: Record<string, string> = { 'content-type': 'binary/octet-stream' };
  let metadataBytes = 0;
  for (const [name, value] of headers) {
    if (name.startsWith('x-amz-meta-')) {
      metadataBytes += name.length - 'x-amz-meta-'.length + value.length;
      stored[name] = value;
    } else if (STORED_HEADERS.includes(name) || name === TAGGING) {
      stored[name] = value;
    }
  }
  if (metadataBytes > MAX_USER_METADATA_BYTES) {
    throw new S3Error(400, 'MetadataTooLarge', `User metadata exceeds ${MAX_USER_METADATA_BYTES} bytes.`);
  }
  const { 'content-encoding': encoding, ...others } = stored;
  if (encoding === undefined) return stored;
  // aws-chunked is a transfer encoding and not part of the object.
  const kept = encoding
    .split(',')
    .map((coding) => coding.trim())
    .filter((coding) => coding !== '' && coding !== 'aws-chunked');
  return kept.length === 0 ? others : { ...others, 'content-encoding': kept.join(', ') };
}
