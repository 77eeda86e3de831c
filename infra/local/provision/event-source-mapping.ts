import { z } from 'zod';
import { EventSource } from '../event-source.ts';
import { refusing } from './iam.ts';
import { count, flag, functionOf, ignored, type Provisioner, parseProperties, queueOf } from './resource.ts';

const schema = z.strictObject({
  EventSourceArn: z.string(),
  FunctionName: z.string(),
  Enabled: flag.default(true),
  BatchSize: count.min(1).max(10).default(10),
  FunctionResponseTypes: z.array(z.literal('ReportBatchItemFailures')).default([]),
  ScalingConfig: z.strictObject({ MaximumConcurrency: count.min(2).optional() }).optional(),
  Tags: ignored,
});

/**
 * Permissions of the function's role that Lambda needs for polling; without them it refuses to
 * create a mapping.
 */
const POLLER_ACTIONS = ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:GetQueueAttributes'];

/** AWS::Lambda::EventSourceMapping of a queue. */
export const eventSourceMapping: Provisioner = (resource, services) => {
  const properties = parseProperties(schema, resource);
  const target = functionOf(services, properties.FunctionName, resource.logicalId);
  const poll = (action: string) =>
    services.permissions.authorize({
      accessKeyId: target.configuration.role,
      action,
      resource: properties.EventSourceArn,
    });
  refusing(resource.logicalId, () => POLLER_ACTIONS.forEach(poll));
  const source = new EventSource(
    queueOf(services, properties.EventSourceArn, resource.logicalId),
    target,
    {
      batchSize: properties.BatchSize,
      concurrency: Math.min(
        services.concurrency,
        properties.ScalingConfig?.MaximumConcurrency ?? services.concurrency,
      ),
      partialFailures: properties.FunctionResponseTypes.length > 0,
    },
    services.sqs.queueByArn,
    services.reportFault,
    poll,
  );
  if (properties.Enabled) services.eventSources.push(source);
  const most = properties.ScalingConfig?.MaximumConcurrency;
  services.mappings.push({
    UUID: resource.logicalId,
    EventSourceArn: properties.EventSourceArn,
    FunctionArn: target.configuration.arn,
    State: properties.Enabled ? 'Enabled' : 'Disabled',
    ...(most !== undefined && { ScalingConfig: { MaximumConcurrency: most } }),
  });
  return { ref: resource.logicalId, attributes: { Id: resource.logicalId } };
};
