import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { GetObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { dynamoClient } from '../../../shared/config/clients/dynamodb.ts';
import { lambdaClient } from '../../../shared/config/clients/lambda.ts';
import { s3Client } from '../../../shared/config/clients/s3.ts';
import { sqsClient } from '../../../shared/config/clients/sqs.ts';

afterEach(() => vi.unstubAllEnvs());

const clients = { s3Client, dynamoClient, sqsClient, lambdaClient };

describe.each(Object.entries(clients))('%s', (_, make) => {
  it('tries three times, or the configured number of times', async () => {
    expect(await make().config.maxAttempts()).toBe(3);
    expect(await make({ maxAttempts: 1 }).config.maxAttempts()).toBe(1);
  });
});

describe('the S3 client', () => {
  it('uses path style for an endpoint of its own only', () => {
    vi.stubEnv('AWS_ENDPOINT_URL', '');
    vi.stubEnv('AWS_ENDPOINT_URL_S3', '');
    expect(s3Client().config.forcePathStyle).toBe(false);
    expect(s3Client({ endpoint: 'http://127.0.0.1:1' }).config.forcePathStyle).toBe(true);
    vi.stubEnv('AWS_ENDPOINT_URL_S3', 'http://127.0.0.1:1');
    expect(s3Client().config.forcePathStyle).toBe(true);
    vi.stubEnv('AWS_ENDPOINT_URL_S3', '');
    vi.stubEnv('AWS_ENDPOINT_URL', 'http://127.0.0.1:1');
    expect(s3Client().config.forcePathStyle).toBe(true);
  });

  it('takes its endpoint from the environment and tries again when an attempt fails', async () => {
    const paths: (string | undefined)[] = [];
    const server = createServer((request, response) => {
      paths.push(request.url);
      response.writeHead(paths.length < 3 ? 503 : 200).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    vi.stubEnv('AWS_ENDPOINT_URL_S3', `http://127.0.0.1:${port}`);
    vi.stubEnv('AWS_REGION', 'us-east-1');
    vi.stubEnv('AWS_ACCESS_KEY_ID', 'local');
    vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'local');
    const client = s3Client();
    const { $metadata } = await client.send(new GetObjectCommand({ Bucket: 'b', Key: 'k' }));
    expect($metadata.attempts).toBe(3);
    expect(paths).toEqual(Array(3).fill('/b/k?x-id=GetObject'));
    client.destroy();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('the SQS client', () => {
  it('uses the host in the queue URL on AWS only', () => {
    vi.stubEnv('AWS_ENDPOINT_URL', '');
    vi.stubEnv('AWS_ENDPOINT_URL_SQS', '');
    expect(sqsClient().config.useQueueUrlAsEndpoint).toBe(true);
    expect(sqsClient({ endpoint: 'http://127.0.0.1:1' }).config.useQueueUrlAsEndpoint).toBe(false);
    vi.stubEnv('AWS_ENDPOINT_URL_SQS', 'http://127.0.0.1:1');
    expect(sqsClient().config.useQueueUrlAsEndpoint).toBe(false);
  });
});

describe('a request without an answer', () => {
  it.each([
    ['s3Client', 5000],
    ['dynamoClient', 5000],
    ['sqsClient', 5000],
    ['lambdaClient', 310_000],
  ] as const)('of %s is given up after %i ms', async (name, requestTimeout) => {
    const { requestHandler } = clients[name]().config;
    // The handler resolves its options when it is first used.
    const { configProvider } = requestHandler as unknown as { configProvider: Promise<unknown> };
    expect(await configProvider).toMatchObject({
      connectionTimeout: 1000,
      requestTimeout,
      throwOnRequestTimeout: true,
    });
  });
});
