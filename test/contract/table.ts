/**
 * The table that the DynamoDB contract tests run against, with the keys and an index as Attune's
 * has them.
 *
 * By default it is in the local stack's DynamoDB. With `ATTUNE_CONTRACT_DYNAMODB` set to anything
 * it is made on AWS, or an emulator of it, reached by the standard environment of the AWS SDK
 * (`AWS_REGION`, credentials, and `AWS_ENDPOINT_URL_DYNAMODB` for an emulator), as
 * `attune-contract-<random>`, and deleted when the tests end.
 */
import { randomUUID } from 'node:crypto';
import {
  CreateTableCommand,
  DeleteTableCommand,
  type DynamoDBClient,
  waitUntilTableExists,
} from '@aws-sdk/client-dynamodb';
import { startDynamoDb } from '../../infra/local/dynamodb.ts';
import { dynamoClient } from '../../shared/config/clients/dynamodb.ts';
import { TABLE } from '../../shared/config/names.ts';
import { localDynamoDb } from '../support/local-clients.ts';

export interface DynamoDbUnderTest {
  readonly client: DynamoDBClient;
  readonly table: string;
  /**
   * Deletes the items that have expired at `now` (epoch milliseconds). Only on the local stack: AWS
   * chooses its own time.
   */
  readonly deleteExpired: ((now: number) => Promise<number>) | undefined;
  /** Deletes the table, or ends the local server. */
  stop(): Promise<void>;
}

/** DynamoDB as the environment names it, or a local one. */
export async function dynamoDbUnderTest(): Promise<DynamoDbUnderTest> {
  const table = `attune-contract-${randomUUID()}`;
  const { byCell } = TABLE;
  const definition = {
    TableName: table,
    KeySchema: [
      { AttributeName: TABLE.partitionKey, KeyType: 'HASH' as const },
      { AttributeName: TABLE.sortKey, KeyType: 'RANGE' as const },
    ],
    AttributeDefinitions: [TABLE.partitionKey, TABLE.sortKey, byCell.partitionKey, byCell.sortKey].map(
      (AttributeName) => ({ AttributeName, AttributeType: 'S' as const }),
    ),
    GlobalSecondaryIndexes: [
      {
        IndexName: byCell.index,
        KeySchema: [
          { AttributeName: byCell.partitionKey, KeyType: 'HASH' as const },
          { AttributeName: byCell.sortKey, KeyType: 'RANGE' as const },
        ],
        Projection: { ProjectionType: 'ALL' as const },
      },
    ],
  };
  if (process.env.ATTUNE_CONTRACT_DYNAMODB) {
    const client = dynamoClient();
    await client.send(new CreateTableCommand({ ...definition, BillingMode: 'PAY_PER_REQUEST' }));
    await waitUntilTableExists({ client, maxWaitTime: 60 }, { TableName: table });
    return {
      client,
      table,
      deleteExpired: undefined,
      async stop() {
        await client.send(new DeleteTableCommand({ TableName: table }));
        client.destroy();
      },
    };
  }
  const server = await startDynamoDb({});
  await server.ensureTable(definition, TABLE.expiresAt);
  const client = localDynamoDb(server.endpoint);
  return {
    client,
    table,
    deleteExpired: (now) => server.deleteExpired(now),
    async stop() {
      client.destroy();
      await server.close();
    },
  };
}
