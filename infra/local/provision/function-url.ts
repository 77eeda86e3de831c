import { z } from 'zod';
import { startFunctionUrl } from '../lambda/function-url.ts';
import { functionOf, ignored, type Provisioner, parseProperties } from './resource.ts';

const schema = z.strictObject({
  AuthType: z.enum(['AWS_IAM', 'NONE']),
  TargetFunctionArn: z.string(),
  InvokeMode: z.literal('BUFFERED').optional(),
  Cors: ignored,
});

/** AWS::Lambda::Url */
export const functionUrl: Provisioner = async (resource, services) => {
  const { AuthType, TargetFunctionArn } = parseProperties(schema, resource);
  const target = functionOf(services, TargetFunctionArn, resource.logicalId);
  const started = await startFunctionUrl(target, AuthType, services.permissions.authorize);
  services.functionUrls.push(started);
  const { arn } = target.configuration;
  return { ref: arn, attributes: { FunctionArn: arn, FunctionUrl: started.url } };
};
