import { deleteObjects } from './batch-delete.ts';
import { listObjectsV2, listObjectVersions } from './listings.ts';
import { deleteObject, getObject, headObject, putObject } from './objects.ts';
import type { Operation } from './operation.ts';
import type { S3Request } from './request.ts';
import { notImplemented } from './s3-error.ts';

const OPERATIONS: readonly Operation[] = [
  putObject,
  getObject,
  headObject,
  deleteObject,
  deleteObjects,
  listObjectsV2,
  listObjectVersions,
];

/** Header fields that can change the effect of a request. All others are safe to ignore. */
const MEANINGFUL = /^(x-amz-|if-|range$|content-md5$)/;

/** Header fields that an SDK can add to any request. */
const COMMON_HEADERS = [
  'x-amz-date',
  'x-amz-content-sha256',
  'x-amz-security-token',
  'x-amz-user-agent',
  'x-amz-sdk-checksum-algorithm',
];

/**
 * Finds the operation of a request.
 * @throws S3Error NotImplemented for an unknown operation, or for a parameter or header that it
 *   does not support
 */
export function operationFor(request: S3Request): Operation {
  const on = request.bucketName === '' ? 'service' : request.key === '' ? 'bucket' : 'object';
  const operation = OPERATIONS.find(
    ({ method, on: target, selector }) =>
      method === request.method &&
      target === on &&
      (selector === undefined || request.query.get(selector[0]) === selector[1]),
  );
  if (operation === undefined) {
    const parameters = [...request.query.keys()].map((name) => `?${name}`).join(' ');
    throw notImplemented(`${request.method} on ${on} ${parameters}`.trim());
  }
  for (const parameter of request.query.keys()) {
    // x-id repeats the operation name, for logs.
    if (parameter !== 'x-id' && !operation.query.includes(parameter)) {
      throw notImplemented(`${operation.name} with ?${parameter}`);
    }
  }
  for (const header of request.headers.keys()) {
    if (MEANINGFUL.test(header) && !COMMON_HEADERS.includes(header) && !supportsHeader(operation, header)) {
      throw notImplemented(`${operation.name} with the header ${header}`);
    }
  }
  return operation;
}

function supportsHeader(operation: Operation, header: string): boolean {
  return operation.headers.some((name) =>
    name.endsWith('*') ? header.startsWith(name.slice(0, -1)) : header === name,
  );
}
