import type { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import type { S3Client } from '@aws-sdk/client-s3';
import type { Endpoints } from '../../infra/local/environment.ts';
import { dynamoClient } from '../../shared/config/clients/dynamodb.ts';
import { lambdaClient } from '../../shared/config/clients/lambda.ts';
import { s3Client } from '../../shared/config/clients/s3.ts';
import { sqsClient } from '../../shared/config/clients/sqs.ts';

/** Region and credentials for the local services, which do not verify signatures. */
export const LOCAL = {
  region: 'us-east-1',
  credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
};

/** A client of a local S3, independent of the environment. */
export function localS3Client(endpoint: string): S3Client {
  return s3Client({ ...LOCAL, endpoint });
}

/** A client of a local DynamoDB, independent of the environment. */
export function localDynamoDb(endpoint: string): DynamoDBClient {
  return dynamoClient({ ...LOCAL, endpoint });
}

/** Clients of a local stack. Call `destroy` when done. */
export function localClients(endpoints: Endpoints) {
  const clients = {
    sqs: sqsClient({ ...LOCAL, endpoint: endpoints.sqs }),
    s3: localS3Client(endpoints.s3),
    dynamodb: localDynamoDb(endpoints.dynamodb),
    lambda: lambdaClient({ ...LOCAL, endpoint: endpoints.lambda }),
  };
  return {
    ...clients,
    destroy() {
      for (const client of Object.values(clients)) client.destroy();
    },
  };
}
