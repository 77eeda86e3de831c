import { z } from 'zod';
import { ACCOUNT_ID, REGION } from '../environment.ts';
import { LocalFunction } from '../lambda/function.ts';
import { count, ignored, type Provisioner, parseProperties, physicalName } from './resource.ts';

const schema = z.strictObject({
  FunctionName: z.string().optional(),
  Code: z.strictObject({ S3Bucket: ignored, S3Key: z.string() }),
  Handler: z.string().regex(/^[^.]+(\.[^.]+)+$/),
  Runtime: z.string().regex(/^nodejs/),
  Environment: z.strictObject({ Variables: z.record(z.string(), z.string()) }).optional(),
  MemorySize: count.default(128),
  Timeout: count.default(3),
  ReservedConcurrentExecutions: count.min(1).optional(),
  Architectures: ignored,
  Description: ignored,
  EphemeralStorage: ignored,
  LoggingConfig: ignored,
  RecursiveLoop: ignored,
  Role: ignored,
  Tags: ignored,
  TracingConfig: ignored,
});

/** AWS::Lambda::Function with a bundled asset for Node. */
export const lambdaFunction: Provisioner = (resource, services) => {
  const properties = parseProperties(schema, resource);
  const name = properties.FunctionName ?? physicalName(services, resource.logicalId, 64);
  const arn = `arn:aws:lambda:${REGION}:${ACCOUNT_ID}:function:${name}`;
  const codeFolder = services.assembly.assetFolder(properties.Code.S3Key);
  const environment = {
    ...properties.Environment?.Variables,
    ...services.environment,
    AWS_EXECUTION_ENV: `AWS_Lambda_${properties.Runtime}`,
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(properties.MemorySize),
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_LAMBDA_LOG_GROUP_NAME: `/aws/lambda/${name}`,
    AWS_LAMBDA_LOG_STREAM_NAME: 'local',
    LAMBDA_TASK_ROOT: codeFolder,
    _HANDLER: properties.Handler,
    TZ: ':UTC',
  };
  const created = new LocalFunction(
    {
      name,
      arn,
      codeFolder,
      handler: properties.Handler,
      environment,
      memoryMb: properties.MemorySize,
      timeoutSeconds: properties.Timeout,
      concurrency: Math.min(
        services.concurrency,
        properties.ReservedConcurrentExecutions ?? Number.POSITIVE_INFINITY,
      ),
    },
    (line) => services.recordLine(name, line),
    services.recordColdStart,
  );
  services.functions.set(name, created);
  return { ref: name, attributes: { Arn: arn } };
};
