import { z } from 'zod';
import { ACCOUNT_ID, REGION } from '../environment.ts';
import { flag, ignored, type Provisioner, parseProperties, physicalName } from './resource.ts';

const keySchema = z.array(z.strictObject({ AttributeName: z.string(), KeyType: z.enum(['HASH', 'RANGE']) }));
const index = z.strictObject({
  IndexName: z.string(),
  KeySchema: keySchema,
  Projection: z.strictObject({
    ProjectionType: z.enum(['ALL', 'INCLUDE', 'KEYS_ONLY']),
    NonKeyAttributes: z.array(z.string()).exactOptional(),
  }),
});

const schema = z.strictObject({
  TableName: z.string().optional(),
  KeySchema: keySchema,
  AttributeDefinitions: z.array(
    z.strictObject({ AttributeName: z.string(), AttributeType: z.enum(['S', 'N', 'B']) }),
  ),
  GlobalSecondaryIndexes: z
    .array(
      index
        .extend({ WriteOnDemandThroughputSettings: ignored })
        .transform(({ IndexName, KeySchema, Projection }) => ({ IndexName, KeySchema, Projection })),
    )
    .exactOptional(),
  LocalSecondaryIndexes: z.array(index).exactOptional(),
  TimeToLiveSpecification: z.strictObject({ AttributeName: z.string().optional(), Enabled: flag }).optional(),
  // Protection, backups and cost limits of the deployed table.
  BillingMode: z.literal('PAY_PER_REQUEST'),
  Replicas: ignored,
  SSESpecification: ignored,
  WriteOnDemandThroughputSettings: ignored,
});

/** AWS::DynamoDB::GlobalTable with one replica. */
export const table: Provisioner = async (resource, services) => {
  const { TimeToLiveSpecification: expiry, ...properties } = parseProperties(schema, resource);
  const name = properties.TableName ?? physicalName(services, resource.logicalId, 255);
  const { KeySchema, AttributeDefinitions, GlobalSecondaryIndexes, LocalSecondaryIndexes } = properties;
  await services.dynamodb.ensureTable(
    { TableName: name, KeySchema, AttributeDefinitions, GlobalSecondaryIndexes, LocalSecondaryIndexes },
    expiry?.Enabled ? expiry.AttributeName : undefined,
  );
  return { ref: name, attributes: { Arn: `arn:aws:dynamodb:${REGION}:${ACCOUNT_ID}:table/${name}` } };
};
