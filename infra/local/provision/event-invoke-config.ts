import { z } from 'zod';
import { DEFAULT_ASYNC_SETTINGS } from '../lambda/async-events.ts';
import { refusing } from './iam.ts';
import { count, functionOf, type Provisioner, parseProperties, queueOf } from './resource.ts';

const schema = z.strictObject({
  FunctionName: z.string(),
  Qualifier: z.literal('$LATEST'),
  MaximumRetryAttempts: count.max(2).default(DEFAULT_ASYNC_SETTINGS.maximumRetryAttempts),
  MaximumEventAgeInSeconds: count.default(DEFAULT_ASYNC_SETTINGS.maximumEventAgeSeconds),
  DestinationConfig: z
    .strictObject({ OnFailure: z.strictObject({ Destination: z.string() }).optional() })
    .optional(),
});

/** AWS::Lambda::EventInvokeConfig with a queue as failure destination. */
export const eventInvokeConfig: Provisioner = (resource, services) => {
  const properties = parseProperties(schema, resource);
  const destination = properties.DestinationConfig?.OnFailure?.Destination;
  const failures = destination === undefined ? undefined : queueOf(services, destination, resource.logicalId);
  const target = functionOf(services, properties.FunctionName, resource.logicalId);
  const mayFail = () =>
    services.permissions.authorize({
      accessKeyId: target.configuration.role,
      action: 'sqs:SendMessage',
      resource: failures?.arn ?? '*',
    });
  if (failures !== undefined) refusing(resource.logicalId, mayFail);
  services.asyncEvents.configure(target, {
    maximumRetryAttempts: properties.MaximumRetryAttempts,
    maximumEventAgeSeconds: properties.MaximumEventAgeInSeconds,
    ...(failures === undefined ? {} : { onFailure: (record) => services.sqs.send(failures, record) }),
  });
  return { ref: resource.logicalId, attributes: {} };
};
