import { z } from 'zod';
import { ACCOUNT_ID, REGION } from '../environment.ts';
import { AccessDenied } from '../iam/permissions.ts';
import { LocalFunction } from '../lambda/function.ts';
import { assumedRole, logGroupArn } from './iam.ts';
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
  LoggingConfig: z.looseObject({ LogGroup: z.string().optional() }).optional(),
  RecursiveLoop: ignored,
  Role: z.unknown().optional(),
  Tags: ignored,
  TracingConfig: z.strictObject({ Mode: z.enum(['Active', 'PassThrough']) }).optional(),
});

const LOG_STREAM = 'local';

/** AWS::Lambda::Function with a bundled asset for Node. */
export const lambdaFunction: Provisioner = (resource, services) => {
  const properties = parseProperties(schema, resource);
  const name = properties.FunctionName ?? physicalName(services, resource.logicalId, 64);
  const arn = `arn:aws:lambda:${REGION}:${ACCOUNT_ID}:function:${name}`;
  const codeFolder = services.assembly.assetFolder(properties.Code.S3Key);
  const role = assumedRole(services, properties.Role, 'lambda.amazonaws.com', resource.logicalId);
  const logGroup = properties.LoggingConfig?.LogGroup ?? `/aws/lambda/${name}`;
  const logs = logGroupArn(logGroup);
  const stream = `${logs}:log-stream:${LOG_STREAM}`;
  const environment = {
    ...properties.Environment?.Variables,
    ...services.environment,
    ...(role !== undefined && { AWS_ACCESS_KEY_ID: role }),
    AWS_EXECUTION_ENV: `AWS_Lambda_${properties.Runtime}`,
    AWS_LAMBDA_FUNCTION_NAME: name,
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: String(properties.MemorySize),
    AWS_LAMBDA_INITIALIZATION_TYPE: 'on-demand',
    AWS_LAMBDA_LOG_GROUP_NAME: logGroup,
    AWS_LAMBDA_LOG_STREAM_NAME: LOG_STREAM,
    LAMBDA_TASK_ROOT: codeFolder,
    _HANDLER: properties.Handler,
    TZ: ':UTC',
  };
  /** Actions of Lambda with the function's role; it skips those without permission. */
  const may = (action: string, on: string): boolean => {
    try {
      services.permissions.authorize({ accessKeyId: role, action, resource: on });
      return true;
    } catch (error) {
      if (!(error instanceof AccessDenied)) throw error;
      return false;
    }
  };
  const created = new LocalFunction(
    {
      name,
      role,
      arn,
      codeFolder,
      handler: properties.Handler,
      environment,
      variables: properties.Environment?.Variables,
      memoryMb: properties.MemorySize,
      timeoutSeconds: properties.Timeout,
      concurrency: Math.min(
        services.concurrency,
        properties.ReservedConcurrentExecutions ?? Number.POSITIVE_INFINITY,
      ),
    },
    (line) => {
      if (may('logs:PutLogEvents', stream)) services.recordLine(name, line);
    },
    (coldStart) => {
      services.recordColdStart(coldStart);
      may('logs:CreateLogStream', stream);
      if (properties.TracingConfig?.Mode !== 'Active') return;
      for (const action of ['xray:PutTraceSegments', 'xray:PutTelemetryRecords']) may(action, '*');
    },
    services.recordInvocation,
  );
  services.functions.set(name, created);
  return { ref: name, attributes: { Arn: arn } };
};
