import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startDynamoDb } from '../../../infra/local/dynamodb.ts';
import { AsyncEvents } from '../../../infra/local/lambda/async-events.ts';
import { startLambdaEndpoint } from '../../../infra/local/lambda/endpoint.ts';
import { startS3 } from '../../../infra/local/s3/server.ts';
import { startSqs } from '../../../infra/local/sqs.ts';
import { InvalidConfigurationError } from '../../../shared/errors.ts';
import { ManualClock } from './manual-clock.ts';

const server = createServer();
let port: number;
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  ({ port } = server.address() as AddressInfo);
});
afterAll(() => {
  server.close();
});

test.each([
  ['sqs', () => startSqs({ port })],
  ['dynamodb', () => startDynamoDb({ port })],
  ['s3', () => startS3({ port })],
  [
    'lambda',
    () =>
      startLambdaEndpoint({ functions: new Map(), mappings: [] }, new AsyncEvents(new ManualClock(0)), port),
  ],
])('%s refuses a port that another program uses', async (service, start) => {
  await expect(start()).rejects.toThrow(
    new InvalidConfigurationError(
      `port ${port} for ${service}: found it in use by another program, expected a free port (0 selects one)`,
    ),
  );
});
