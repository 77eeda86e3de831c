import { z } from 'zod';
import { count, flag, ignored, type Provisioner, parseProperties, physicalName } from './resource.ts';

const schema = z.strictObject({
  QueueName: z.string().optional(),
  FifoQueue: flag.default(false),
  ContentBasedDeduplication: flag.optional(),
  DeduplicationScope: z.string().optional(),
  FifoThroughputLimit: z.string().optional(),
  DelaySeconds: count.optional(),
  MaximumMessageSize: count.optional(),
  MessageRetentionPeriod: count.optional(),
  ReceiveMessageWaitTimeSeconds: count.optional(),
  VisibilityTimeout: count.optional(),
  RedrivePolicy: z.record(z.string(), z.unknown()).optional(),
  RedriveAllowPolicy: z.record(z.string(), z.unknown()).optional(),
  SqsManagedSseEnabled: ignored,
  KmsMasterKeyId: ignored,
  KmsDataKeyReusePeriodSeconds: ignored,
  Tags: ignored,
});

/** AWS::SQS::Queue */
export const queue: Provisioner = (resource, services) => {
  const { QueueName, FifoQueue, ...rest } = parseProperties(schema, resource);
  const suffix = FifoQueue ? '.fifo' : '';
  const name = QueueName ?? physicalName(services, resource.logicalId, 80 - suffix.length) + suffix;
  const attributes: Record<string, string> = FifoQueue ? { FifoQueue: 'true' } : {};
  for (const [attribute, value] of Object.entries(rest)) {
    if (value !== undefined)
      attributes[attribute] = typeof value === 'object' ? JSON.stringify(value) : String(value);
  }
  const { arn, url } = services.sqs.ensureQueue(name, attributes);
  return { ref: url, attributes: { Arn: arn, QueueName: name, QueueUrl: url } };
};
