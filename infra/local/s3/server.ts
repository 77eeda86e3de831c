import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { InvalidConfigurationError } from '../../../shared/errors.ts';
import { listen } from '../listen.ts';
import { readBody } from './body.ts';
import type { BucketSettings } from './bucket.ts';
import { applyExpirations, utcDay } from './lifecycle.ts';
import { ObjectTable } from './object-table.ts';
import type { Reply } from './operation.ts';
import { parseRequest } from './request.ts';
import { operationFor } from './router.ts';
import { S3Error } from './s3-error.ts';
import { xmlDocument } from './xml.ts';

export interface LocalS3Options {
  /** Folder that the objects are kept in; without one they end with the server. */
  readonly dataDir?: string;
  /** Port on 127.0.0.1; 0, the default, takes any free one. */
  readonly port?: number;
  /** Milliseconds since the epoch; expiration rules go by it. Default: the clock. */
  readonly now?: () => number;
}

export interface LocalS3 {
  /** URL for `AWS_ENDPOINT_URL_S3`; clients must use path style. */
  readonly endpoint: string;
  /**
   * Makes a bucket; one that is there already keeps its objects and gets the new settings.
   * @throws InvalidConfigurationError when a versioned bucket is to become unversioned, which S3 cannot do either
   */
  createBucket(name: string, settings: BucketSettings): void;
  /** Ends the server; everything acknowledged stays in the data folder. May be called twice. */
  close(): Promise<void>;
}

/**
 * A small S3 for one machine: the calls that Attune makes through the AWS SDK, with conditional writes that have
 * one winner per race, versions, checksums and expiration. Requests are not authenticated: signatures are not
 * verified, so it listens on 127.0.0.1 only.
 *
 * @throws InvalidConfigurationError when the port is taken, or the data folder cannot be written or is in use
 */
export async function startS3({ dataDir, port = 0, now = Date.now }: LocalS3Options = {}): Promise<LocalS3> {
  const table = new ObjectTable(dataDir === undefined ? undefined : await databaseFile(dataDir));
  const sweptDays = new Map<string, number>();
  const server = createServer((request, response) => {
    answer(request, table, sweptDays, now)
      .catch(errorReply)
      .then((reply) => send(reply, request, response));
  });
  // Longer than clients keep idle connections, so that none is closed just as a request is sent on it.
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
          `bucket ${name}: found versioned: false, expected true, as it is versioned already`,
        );
      }
      table.saveBucket(name, settings);
      sweptDays.delete(name);
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
  sweptDays: Map<string, number>,
  now: () => number,
): Promise<Reply> {
  const request = parseRequest(incoming);
  const operation = operationFor(request);
  const body = await readBody(incoming, request.headers);
  const into = table.bucket(request.bucket);
  if (into === undefined) throw new S3Error(404, 'NoSuchBucket', 'The specified bucket does not exist.');
  // From here to the reply nothing awaits, so no other request comes between a condition and its write.
  const time = now();
  const today = utcDay(time);
  if (sweptDays.get(into.name) !== today) {
    applyExpirations(table, into, time);
    sweptDays.set(into.name, today);
  }
  return operation.run({ ...request, table, into, body, now: time });
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
    throw new InvalidConfigurationError(`${dataDir}: found ${reason}, expected a folder to write to`, {
      cause,
    });
  }
  return join(dataDir, 's3.sqlite');
}

/** Lets running requests end, but waits no longer than a second for a client that stalls. */
function stop(server: Server): Promise<void> {
  return new Promise((resolve) => {
    const impatience = setTimeout(() => server.closeAllConnections(), 1000);
    server.close(() => {
      clearTimeout(impatience);
      resolve();
    });
  });
}
