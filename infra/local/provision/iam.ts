import { z } from 'zod';
import { InvalidConfigurationError } from '../../../shared/errors.ts';
import { ACCOUNT_ID, REGION } from '../environment.ts';
import { AccessDenied } from '../iam/permissions.ts';
import { ignored, type Provisioner, parseProperties, physicalName, type Services } from './resource.ts';

const document = z.unknown();
const roleSchema = z.strictObject({
  RoleName: z.string().optional(),
  AssumeRolePolicyDocument: document,
  Description: ignored,
  Tags: ignored,
});

/** AWS::IAM::Role; the local stack has no managed policies. */
export const role: Provisioner = (resource, { permissions, ...services }) => {
  const properties = parseProperties(roleSchema, resource);
  const name = properties.RoleName ?? physicalName(services, resource.logicalId, 64);
  permissions.addRole(name, properties.AssumeRolePolicyDocument);
  return { ref: name, attributes: { Arn: `arn:aws:iam::${ACCOUNT_ID}:role/${name}` } };
};

const policySchema = z.strictObject({
  PolicyName: z.string(),
  PolicyDocument: document,
  Roles: z.array(z.string()),
});

/** AWS::IAM::Policy of roles. */
export const policy: Provisioner = (resource, { permissions }) => {
  const { Roles, PolicyDocument } = parseProperties(policySchema, resource);
  for (const name of Roles) permissions.permit(name, PolicyDocument);
  return { ref: resource.logicalId, attributes: {} };
};

const resourcePolicySchema = z.strictObject({
  PolicyDocument: document,
  Bucket: z.string().optional(),
  Queues: z.array(z.string()).optional(),
});

/** AWS::S3::BucketPolicy and AWS::SQS::QueuePolicy. */
export const resourcePolicy: Provisioner = (resource, { permissions }) => {
  permissions.addResourcePolicy(
    parseProperties(resourcePolicySchema, resource).PolicyDocument,
    resource.logicalId,
  );
  return { ref: resource.logicalId, attributes: {} };
};

const logGroupSchema = z.strictObject({
  LogGroupName: z.string().optional(),
  RetentionInDays: ignored,
  KmsKeyId: ignored,
  Tags: ignored,
});

/** AWS::Logs::LogGroup: only a name, because the caller of the stack receives the lines. */
export const logGroup: Provisioner = (resource, services) => {
  const { LogGroupName } = parseProperties(logGroupSchema, resource);
  const name = LogGroupName ?? physicalName(services, resource.logicalId, 512);
  return { ref: name, attributes: { Arn: `${logGroupArn(name)}:*` } };
};

export function logGroupArn(name: string): string {
  return `arn:aws:logs:${REGION}:${ACCOUNT_ID}:log-group:${name}`;
}

/**
 * The name of the role that a service assumes; undefined for a role outside the template, which may
 * do everything.
 * @throws InvalidConfigurationError when its trust policy does not let the service assume it
 */
export function assumedRole(
  { permissions }: Pick<Services, 'permissions'>,
  arn: unknown,
  service: string,
  logicalId: string,
): string | undefined {
  const name = String(arn).split('/').at(-1) ?? '';
  if (!permissions.roles.includes(name)) return undefined;
  return refusing(logicalId, () => {
    permissions.requireTrust(name, service);
    return name;
  });
}

/**
 * Runs a check that AWS makes when it creates a resource.
 * @throws InvalidConfigurationError instead of AccessDenied
 */
export function refusing<T>(logicalId: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!(error instanceof AccessDenied)) throw error;
    throw new InvalidConfigurationError(`${logicalId}: AccessDenied: ${error.message}`, { cause: error });
  }
}
