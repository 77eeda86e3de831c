import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { InvalidConfigurationError } from '../../../shared/errors.ts';
import { AccessDenied, type Authorize, accessKeyOf } from '../iam/permissions.ts';
import { listen } from '../listen.ts';
import { readBody } from './body.ts';
import type { BucketSettings } from './bucket.ts';
import { applyExpirations, utcDay } from './lifecycle.ts';
import { ObjectTable } from './object-table.ts';
import type { Reply, S3Call } from './operation.ts';
import { parseRequest } from './request.ts';
import { operationFor } from './router.ts';
import { S3Error } from './s3-error.ts';
import { xmlDocument } from './xml.ts';

export interface LocalS3Options {
  /** Folder for the objects; default: in memory, until the server closes. */
  readonly dataDir?: string;
  /** Port on 127.0.0.1; 0, the default, selects a free one. */
  readonly port?: number;
  /** Milliseconds since the epoch, for expiration rules. Default: the system clock. */
  readonly now?: () => number;
  /** Default: everybody may do everything. */
  readonly authorize?: Authorize;
}

export interface LocalS3 {
  /** URL for `AWS_ENDPOINT_URL_S3`; clients must use path style. */
  readonly endpoint: string;
  /**
   * Creates a bucket, or changes the settings of an existing one and keeps its objects.
   * @throws InvalidConfigurationError when a versioned bucket would become unversioned, which S3
   *   does not support either
   */
  createBucket(name: string, settings: BucketSettings): void;
  /** Stops the server. Acknowledged writes stay in the data folder. Can be called twice. */
  close(): Promise<void>;
}

/**
 * Starts a small S3 for one machine. It supports the operations that Attune uses, with conditional
 * writes, versions, checksums and expiration. In a race of conditional writes exactly one wins. It
 * listens on 127.0.0.1 only, because it does not verify signatures.
 *
 * @throws InvalidConfigurationError when the port is in use, or the data folder is not writable or
 *   in use
 */
export async function startS3(options: LocalS3Options = {}): Promise<LocalS3> {
  const { dataDir, port = 0, now = Date.now, authorize = () => {} } = options;
  const table = new ObjectTable(dataDir === undefined ? undefined : await databaseFile(dataDir));
  const lastSweepDays = new Map<string, number>();
  const server = createServer((request, response) => {
    answer(request, table, lastSweepDays, now, authorize)
      .catch(errorReply)
      .then((reply) => send(reply, request, response));
  });
  // Longer than clients keep idle connections. Otherwise the server could close one just as a
  // client sends a request.
  server.keepAliveTimeout = 120_000;
  const endpoint = await listen(server, 's3', port).catch((error: unknown) => {
    table.close();
    throw error;
  });
  let closing: Promise<void> | undefined;
  return {
    endpoint,
    createBucket(name, settings) {
      if (table.bucket(name)?.versioned && !settings.versioned) {
        throw new InvalidConfigurationError(
          `bucket ${name}: found versioned: false, expected true, because the bucket is already versioned`,
        );
      }
      table.saveBucket(name, settings);
      lastSweepDays.delete(name);
    },
    close() {
      closing ??= stop(server).finally(() => table.close());
      return closing;
    },
  };
}

async function answer(
  incoming: IncomingMessage,
  table: ObjectTable,
  lastSweepDays: Map<string, number>,
  now: () => number,
  authorize: Authorize,
): Promise<Reply> {
  const request = parseRequest(incoming);
  const operation = operationFor(request);
  const body = await readBody(incoming, request.headers);
  const bucket = table.bucket(request.bucketName);
  if (bucket === undefined) throw new S3Error(404, 'NoSuchBucket', 'The specified bucket does not exist.');
  // No await from here to the reply, so that no other request can run between a condition and its
  // write.
  const time = now();
  const today = utcDay(time);
  if (lastSweepDays.get(bucket.name) !== today) {
    applyExpirations(table, bucket, time);
    lastSweepDays.set(bucket.name, today);
  }
  const accessKeyId = accessKeyOf(incoming.headers.authorization);
  const check: S3Call['authorize'] = (action, key, context) => {
    const resource = `arn:aws:s3:::${bucket.name}${key === undefined ? '' : `/${key}`}`;
    try {
      authorize({ accessKeyId, action, resource, ...(context && { context }) });
    } catch (error) {
      if (!(error instanceof AccessDenied)) throw error;
      throw new S3Error(403, 'AccessDenied', error.message);
    }
  };
  return operation.run({ ...request, table, bucket, body, now: time, authorize: check });
}

function errorReply(error: unknown): Reply {
  const known =
    error instanceof S3Error
      ? error
      : new S3Error(500, 'InternalError', error instanceof Error ? error.message : String(error));
  return {
    status: known.status,
    headers: known.headers,
    body: xmlDocument('Error', { Code: known.code, Message: known.message }),
  };
}

function send({ status, headers, body }: Reply, request: IncomingMessage, response: ServerResponse): void {
  response.writeHead(status, {
    ...(typeof body === 'string' ? { 'content-type': 'application/xml' } : {}),
    ...headers,
    ...(status === 304 || status === 204 ? {} : { 'content-length': lengthOf(headers, body) }),
    'x-amz-request-id': randomUUID(),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

function lengthOf(headers: Reply['headers'], body: Reply['body']): string | number {
  return headers?.['content-length'] ?? Buffer.byteLength(body ?? '');
}

async function databaseFile(dataDir: string): Promise<string> {
  try {
    await mkdir(dataDir, { recursive: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new InvalidConfigurationError(`${dataDir}: found ${reason}, expected a writable folder`, {
      cause,
    });
  }
  return join(dataDir, 's3.sqlite');
}

/** Waits for running requests, but at most one second. */
function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const timeout = setTimeout(() => server.closeAllConnections(), 1000);
    server.close(() => {
      clearTimeout(timeout);
      resolve();
    });
  });
}
