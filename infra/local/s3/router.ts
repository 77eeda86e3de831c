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

/** Header fields that could change what a request means; any other field is transport or plain description. */
const MEANINGFUL = /^(x-amz-|if-|range$|content-md5$)/;

/** What every signed request of an SDK may carry. */
const COMMON_HEADERS = [
  'x-amz-date',
  'x-amz-content-sha256',
  'x-amz-security-token',
  'x-amz-user-agent',
  'x-amz-sdk-checksum-algorithm',
];

/**
 * The operation that a request asks for.
 * @throws S3Error NotImplemented when there is none, or when the request has a parameter or header it does not know
 */
export function operationFor(request: S3Request): Operation {
  const on = request.bucket === '' ? 'service' : request.key === '' ? 'bucket' : 'object';
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
    // x-id repeats the name of the operation for logs.
    if (parameter !== 'x-id' && !operation.query.includes(parameter)) {
      throw notImplemented(`${operation.name} with ?${parameter}`);
    }
  }
  for (const header of request.headers.keys()) {
    if (MEANINGFUL.test(header) && !COMMON_HEADERS.includes(header) && !understands(operation, header)) {
      throw notImplemented(`${operation.name} with the header ${header}`);
    }
  }
  return operation;
}

function understands(operation: Operation, header: string): boolean {
  return operation.headers.some((name) =>
    name.endsWith('*') ? header.startsWith(name.slice(0, -1)) : header === name,
  );
}
