import { mkdirSync } from 'node:fs';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import dynalite from 'dynalite';
import { InvalidConfigurationError } from '../../shared/errors.ts';
import { ACCOUNT_ID, REGION } from './environment.ts';
import { AccessDenied, type Authorize, accessKeyOf } from './iam/permissions.ts';
import { closeServer, listen } from './listen.ts';

/** The properties of a table that CreateTable needs. */
export interface TableDefinition {
  readonly TableName: string;
  readonly KeySchema: readonly unknown[];
  readonly AttributeDefinitions: readonly unknown[];
  readonly GlobalSecondaryIndexes?: readonly unknown[] | undefined;
  readonly LocalSecondaryIndexes?: readonly unknown[] | undefined;
}

/**
 * A local DynamoDB: dynalite in this process, plus the expiry of items, which dynalite does not
 * support.
 */
export interface LocalDynamoDb {
  readonly endpoint: string;
  /**
   * Creates the table unless it exists.
   * @param timeToLive attribute with the epoch second at which an item expires
   * @throws InvalidConfigurationError when the table exists with other keys or indexes
   */
  ensureTable(definition: TableDefinition, timeToLive?: string): Promise<void>;
  /**
   * Deletes expired items. A timer calls it every minute; AWS may need up to two days.
   * @param now epoch milliseconds
   * @returns the number of deleted items
   */
  deleteExpired(now: number): Promise<number>;
  close(): Promise<void>;
}

const SWEEP_MS = 60_000;
/** DynamoDB ignores a time to live of more than five years ago. */
const OLDEST_EXPIRY_SECONDS = 5 * 365 * 24 * 3600;

/**
 * Starts DynamoDB on the loopback interface.
 * @param dataDir folder for the tables; default: in memory
 * @throws InvalidConfigurationError when the port is in use
 */
export async function startDynamoDb(options: {
  dataDir?: string;
  port?: number;
  authorize?: Authorize;
}): Promise<LocalDynamoDb> {
  if (options.dataDir !== undefined) mkdirSync(options.dataDir, { recursive: true });
  const server = dynalite({
    ...(options.dataDir === undefined ? {} : { path: options.dataDir }),
    createTableMs: 0,
    deleteTableMs: 0,
    updateTableMs: 0,
  });
  readWholeRequests(server, options.authorize ?? (() => {}));
  const endpoint = await listen(server, 'dynamodb', options.port ?? 0);
  const expiryAttributes = new Map<string, string>();

  const deleteExpired = async (now: number): Promise<number> => {
    let deleted = 0;
    for (const [table, attribute] of expiryAttributes)
      deleted += await sweep(endpoint, table, attribute, now);
    return deleted;
  };
  let sweeping: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    sweeping = sweeping.then(() => deleteExpired(Date.now())).catch(() => {});
  }, SWEEP_MS);
  timer.unref();

  return {
    endpoint,
    async ensureTable(definition, timeToLive) {
      const table = definition.TableName;
      const { TableNames } = await call<{ TableNames: string[] }>(endpoint, 'ListTables', {});
      if (TableNames.includes(table)) {
        const { Table } = await call<{ Table: TableDefinition }>(endpoint, 'DescribeTable', {
          TableName: table,
        });
        if (schemaOf(Table) !== schemaOf(definition)) {
          throw new InvalidConfigurationError(
            `${table}: found other keys or indexes in the data folder, expected those of the template ` +
              '(the local stack cannot change them: use another data folder)',
          );
        }
      } else {
        await call(endpoint, 'CreateTable', { ...definition, BillingMode: 'PAY_PER_REQUEST' });
      }
      if (timeToLive !== undefined) expiryAttributes.set(table, timeToLive);
    },
    deleteExpired,
    async close() {
      clearInterval(timer);
      await sweeping;
      await closeServer(server);
    },
  };
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * Gives dynalite only complete and permitted requests. When a client disconnects during a request,
 * as a function does at its timeout, dynalite would end this process.
 */
function readWholeRequests(server: Server, authorize: Authorize): void {
  const [handle] = server.listeners('request') as [Handler];
  server.removeAllListeners('request');
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on('error', () => {});
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      try {
        for (const call of callsOf(request, body)) authorize(call);
      } catch (error) {
        return deny(response, error);
      }
      const { method, url, headers } = request;
      handle(
        Object.assign(Readable.from([body]), { method, url, headers }) as unknown as IncomingMessage,
        response,
      );
    });
  });
}

/** The permissions that a request needs; none when dynalite will refuse it. */
function* callsOf({ headers }: IncomingMessage, body: Buffer) {
  const operation = String(headers['x-amz-target']).split('.').at(-1);
  const accessKeyId = accessKeyOf(headers.authorization);
  let input: { TableName?: string; IndexName?: string; RequestItems?: object };
  try {
    input = JSON.parse(body.toString());
  } catch {
    return;
  }
  const { TableName, IndexName, RequestItems = {} } = input;
  const action = `dynamodb:${operation}`;
  const tables = TableName === undefined ? Object.keys(RequestItems) : [TableName];
  for (const table of tables) {
    const arn = `arn:aws:dynamodb:${REGION}:${ACCOUNT_ID}:table/${table}`;
    yield { accessKeyId, action, resource: IndexName === undefined ? arn : `${arn}/index/${IndexName}` };
  }
}

function deny(response: ServerResponse, error: unknown): void {
  if (!(error instanceof AccessDenied)) throw error;
  response.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' });
  response.end(
    JSON.stringify({ __type: 'com.amazon.coral.service#AccessDeniedException', message: error.message }),
  );
}

async function sweep(endpoint: string, table: string, attribute: string, now: number): Promise<number> {
  const { Table } = await call<{ Table: { KeySchema: { AttributeName: string }[] } }>(
    endpoint,
    'DescribeTable',
    {
      TableName: table,
    },
  );
  const keys = Table.KeySchema.map((key) => key.AttributeName);
  const seconds = Math.floor(now / 1000);
  const expired = {
    TableName: table,
    ExpressionAttributeNames: { '#ttl': attribute },
    ExpressionAttributeValues: {
      ':now': { N: String(seconds) },
      ':oldest': { N: String(seconds - OLDEST_EXPIRY_SECONDS) },
    },
  };
  const condition = '#ttl BETWEEN :oldest AND :now';
  let deleted = 0;
  let start: unknown;
  do {
    const page = await call<{ Items: Record<string, unknown>[]; LastEvaluatedKey?: unknown }>(
      endpoint,
      'Scan',
      {
        ...expired,
        FilterExpression: condition,
        ...(start === undefined ? {} : { ExclusiveStartKey: start }),
      },
    );
    for (const item of page.Items) {
      const key = Object.fromEntries(keys.map((name) => [name, item[name]]));
      // The condition protects an item that a writer has extended since the scan.
      const request = { ...expired, Key: key, ConditionExpression: condition };
      const removed = await call(endpoint, 'DeleteItem', request).then(
        () => 1,
        (error: unknown) => {
          if (error instanceof DynamoDbError && error.type === 'ConditionalCheckFailedException') return 0;
          throw error;
        },
      );
      deleted += removed;
    }
    start = page.LastEvaluatedKey;
  } while (start !== undefined);
  return deleted;
}

/** Keys and indexes in a canonical form, so that equal definitions give equal strings. */
function schemaOf(table: TableDefinition): string {
  const index = (entry: unknown) => {
    const { IndexName, KeySchema, Projection } = entry as Record<string, unknown>;
    return { IndexName, KeySchema, Projection };
  };
  const sorted = (entries: readonly unknown[] = []) => entries.map((entry) => canonical(entry)).sort();
  return canonical({
    keys: table.KeySchema,
    attributes: sorted(table.AttributeDefinitions),
    global: sorted((table.GlobalSecondaryIndexes ?? []).map(index)),
    local: sorted((table.LocalSecondaryIndexes ?? []).map(index)),
  });
}

/** JSON with sorted keys. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_, entry: unknown) =>
    typeof entry === 'object' && entry !== null && !Array.isArray(entry)
      ? Object.fromEntries(Object.entries(entry).sort(([a], [b]) => (a < b ? -1 : 1)))
      : entry,
  );
}

class DynamoDbError extends Error {
  readonly type: string;

  constructor(operation: string, type: string, message: string) {
    super(`${operation}: ${type}: ${message}`);
    this.type = type;
  }
}

/** dynalite requires the parts of a signature but does not verify them. */
const UNVERIFIED_SIGNATURE =
  'AWS4-HMAC-SHA256 Credential=local/20000101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0';

async function call<T>(endpoint: string, operation: string, input: object): Promise<T> {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-amz-json-1.0',
      'x-amz-target': `DynamoDB_20120810.${operation}`,
      'x-amz-date': '20000101T000000Z',
      authorization: UNVERIFIED_SIGNATURE,
    },
    body: JSON.stringify(input),
  });
  const output = (await response.json()) as { __type?: string; message?: string };
  if (!response.ok) {
    const type = output.__type?.split('#').at(-1) ?? String(response.status);
    throw new DynamoDbError(operation, type, output.message ?? '');
  }
  return output as T;
}
