import { InvalidConfigurationError } from '../../../shared/errors.ts';
import { ACCOUNT_ID, REGION } from '../environment.ts';
import { creationOrder, pseudoParameters, resolveIntrinsics, type Scope } from '../template.ts';
import { bucket } from './bucket.ts';
import { eventInvokeConfig } from './event-invoke-config.ts';
import { eventSourceMapping } from './event-source-mapping.ts';
import { lambdaFunction } from './function.ts';
import { functionUrl } from './function-url.ts';
import { logGroup, policy, resourcePolicy, role } from './iam.ts';
import { queue } from './queue.ts';
import { type Provisioned, type Provisioner, physicalName, type Services } from './resource.ts';
import { schedule } from './schedule.ts';
import { table } from './table.ts';

const PROVISIONERS: Readonly<Record<string, Provisioner>> = {
  'AWS::IAM::Role': role,
  'AWS::IAM::Policy': policy,
  'AWS::S3::BucketPolicy': resourcePolicy,
  'AWS::SQS::QueuePolicy': resourcePolicy,
  'AWS::Logs::LogGroup': logGroup,
  'AWS::SQS::Queue': queue,
  'AWS::S3::Bucket': bucket,
  'AWS::DynamoDB::GlobalTable': table,
  'AWS::Lambda::Function': lambdaFunction,
  'AWS::Lambda::Url': functionUrl,
  'AWS::Lambda::EventSourceMapping': eventSourceMapping,
  'AWS::Lambda::EventInvokeConfig': eventInvokeConfig,
  'AWS::Scheduler::Schedule': schedule,
};

/** Resource types without effect on one machine: monitoring and cost. */
const IGNORED_TYPES: ReadonlySet<string> = new Set([
  'AWS::Budgets::Budget',
  'AWS::CDK::Metadata',
  'AWS::CloudWatch::Alarm',
  'AWS::CloudWatch::Dashboard',
  'AWS::Lambda::Permission',
  'AWS::Logs::MetricFilter',
  'AWS::SNS::Subscription',
  'AWS::SNS::Topic',
  'AWS::SNS::TopicPolicy',
]);

/**
 * Creates every resource of the template, in the order of their references.
 * @returns the template's outputs by name
 * @throws InvalidConfigurationError naming the resource for an unknown type, property or intrinsic
 *   function, so that the local stack never silently differs from the deployed one
 */
export async function provision(services: Services): Promise<Readonly<Record<string, string>>> {
  const { template, stackName } = services.assembly;
  const created = new Map<string, Provisioned>();
  const parameters = parametersOf(services);
  const scope: Scope = {
    ref: (logicalId) => parameters[logicalId] ?? created.get(logicalId)?.ref,
    attribute: (logicalId, name) => created.get(logicalId)?.attributes[name],
  };
  for (const logicalId of creationOrder(template)) {
    const resource = template.Resources[logicalId];
    if (resource === undefined) continue;
    if (IGNORED_TYPES.has(resource.Type)) {
      created.set(logicalId, placeholder(services, logicalId, resource.Type));
      continue;
    }
    const provisioner = PROVISIONERS[resource.Type];
    if (provisioner === undefined || resource.Condition !== undefined) {
      const what = provisioner === undefined ? `type ${resource.Type}` : `condition ${resource.Condition}`;
      throw new InvalidConfigurationError(
        `${logicalId}: found ${what} in ${stackName}, expected a resource that the local stack supports`,
      );
    }
    const properties = resolveIntrinsics(resource.Properties ?? {}, scope, logicalId) as Record<
      string,
      unknown
    >;
    created.set(logicalId, await provisioner({ logicalId, properties }, services));
  }
  return Object.fromEntries(
    Object.entries(template.Outputs ?? {}).map(([name, output]) => [
      name,
      String(resolveIntrinsics(output.Value, scope, `output ${name}`)),
    ]),
  );
}

function parametersOf({ assembly }: Services): Readonly<Record<string, string>> {
  const defaults = Object.entries(assembly.template.Parameters ?? {}).flatMap(([name, { Default }]) =>
    Default === undefined ? [] : [[name, String(Default)]],
  );
  return { ...Object.fromEntries(defaults), ...pseudoParameters(assembly.stackName) };
}

function placeholder(services: Services, logicalId: string, type: string): Provisioned {
  const name = physicalName(services, logicalId, 255);
  const service = type.split('::')[1]?.toLowerCase();
  return { ref: name, attributes: { Arn: `arn:aws:${service}:${REGION}:${ACCOUNT_ID}:${name}` } };
}
