import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { clientDefaults } from './options.ts';

/** A client for DynamoDB. Region, credentials and endpoint default to the standard environment. */
export function dynamoClient(config: DynamoDBClientConfig = {}): DynamoDBClient {
  return new DynamoDBClient({ ...clientDefaults(), ...config });
}
