import { connect } from 'node:net';
import { GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import { expect, it, onTestFinished } from 'vitest';
import { startDynamoDb } from '../../../infra/local/dynamodb.ts';
import { dynamoClient } from '../../../shared/config/clients/dynamodb.ts';
import { temporaryFolder } from '../../support/assembly-fixture.ts';

const TABLE = {
  TableName: 'bank',
  KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
  AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
};
const INDEXED = {
  ...TABLE,
  AttributeDefinitions: [...TABLE.AttributeDefinitions, { AttributeName: 'cell', AttributeType: 'S' }],
  GlobalSecondaryIndexes: [
    {
      IndexName: 'by-cell',
      KeySchema: [{ AttributeName: 'cell', KeyType: 'HASH' }],
      Projection: { ProjectionType: 'ALL' },
    },
  ],
};

function clientOf(endpoint: string) {
  const credentials = { accessKeyId: 'x', secretAccessKey: 'x' };
  const client = dynamoClient({ endpoint, region: 'us-east-1', credentials });
  onTestFinished(() => client.destroy());
  return {
    put: (pk: string) => client.send(new PutItemCommand({ TableName: 'bank', Item: { pk: { S: pk } } })),
    get: async (pk: string) =>
      (await client.send(new GetItemCommand({ TableName: 'bank', Key: { pk: { S: pk } } }))).Item,
  };
}

it('DynamoDB with a data folder keeps tables and items across a restart', async () => {
  const dataDir = temporaryFolder();
  const first = await startDynamoDb({ dataDir });
  await first.ensureTable(INDEXED);
  await clientOf(first.endpoint).put('kept');
  await first.close();

  const second = await startDynamoDb({ dataDir });
  onTestFinished(() => second.close());
  await second.ensureTable(INDEXED);
  expect(await clientOf(second.endpoint).get('kept')).toEqual({ pk: { S: 'kept' } });
});

it('DynamoDB refuses a stored table with other indexes than the template and names the table', async () => {
  const db = await startDynamoDb({});
  onTestFinished(() => db.close());
  await db.ensureTable(TABLE);
  await expect(db.ensureTable(INDEXED)).rejects.toThrow(
    /^bank: found other keys or indexes in the data folder, expected those of the template/,
  );
});

it('DynamoDB keeps running when a client disconnects during a request', async () => {
  const db = await startDynamoDb({});
  onTestFinished(() => db.close());
  await db.ensureTable(TABLE);
  await new Promise<void>((resolve) => {
    const socket = connect(Number(new URL(db.endpoint).port), '127.0.0.1', () => {
      const head =
        'POST / HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: 100\r\n\r\n{';
      socket.write(head, () => setTimeout(() => socket.resetAndDestroy(), 20));
    });
    socket.on('close', () => resolve());
  });
  const client = clientOf(db.endpoint);
  await client.put('after');
  expect(await client.get('after')).toBeDefined();
});

it('DynamoDB refuses a port in use and names it', async () => {
  const db = await startDynamoDb({});
  onTestFinished(() => db.close());
  const port = Number(new URL(db.endpoint).port);
  await expect(startDynamoDb({ port })).rejects.toThrow(
    `port ${port} for dynamodb: found it in use by another program`,
  );
});
