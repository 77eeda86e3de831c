import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AssetHashType, DockerImage, type Duration, RemovalPolicy, Stage, Validations } from 'aws-cdk-lib';
import type { IVpc } from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import {
  ApplicationLogLevel,
  Architecture,
  Code,
  Function as LambdaFunction,
  LoggingFormat,
  Runtime,
  SystemLogLevel,
  Tracing,
} from 'aws-cdk-lib/aws-lambda';
import { LogGroup, type RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { DeploymentSettings } from '../shared/config/settings.ts';
import type { NetworkProps } from './attune-props.ts';
import { bundleFunction, type FunctionFolder } from './bundle.ts';

export interface AttuneFunctionProps {
  /** Settings as environment variables. */
  readonly environment: Readonly<Record<string, string>>;
  readonly settings: Pick<DeploymentSettings, 'logRetentionDays'>;
  readonly network: NetworkProps;
  /** Folder below functions/ whose handler.ts exports `handler`. */
  readonly folder: FunctionFolder;
  readonly description: string;
  readonly timeout: Duration;
  /** MB; Lambda assigns CPU in proportion. */
  readonly memorySize: number;
}

/** A function with its bundle, its log group, and a role that permits only what `allow` grants. */
export class AttuneFunction extends LambdaFunction {
  override readonly role: Role;
  readonly maxDuration: Duration;

  constructor(scope: Construct, id: string, props: AttuneFunctionProps) {
    const role = new Role(scope, `${id}Role`, {
      assumedBy: new ServicePrincipal('lambda.amazonaws.com'),
      description: `Attune: ${props.description}`,
    });
    const logGroup = new LogGroup(scope, `${id}Logs`, {
      retention: props.settings.logRetentionDays satisfies number as RetentionDays,
      removalPolicy: RemovalPolicy.DESTROY,
    });
    super(scope, id, {
      description: props.description,
      code: codeOf(props.folder, scope),
      handler: 'index.handler',
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      timeout: props.timeout,
      memorySize: props.memorySize,
      role,
      logGroup,
      loggingFormat: LoggingFormat.JSON,
      applicationLogLevelV2: ApplicationLogLevel.INFO,
      systemLogLevelV2: SystemLogLevel.WARN,
      tracing: Tracing.ACTIVE,
      environment: props.environment,
      ...networkOf(props.network),
    });
    this.role = role;
    this.maxDuration = props.timeout;
    logGroup.grantWrite(role);
    if (props.network.vpc !== undefined) this.allow(NETWORK_ACTIONS, ['*']);
    Validations.of(role).acknowledge({
      id: 'AwsSolutions-IAM5[Resource::*]',
      reason: 'Tracing and, in a VPC, network interfaces do not support resources in their permissions.',
    });
  }

  /** Grants the function's role these actions on these resources. */
  allow(actions: readonly string[], resources: readonly string[]): void {
    this.role.addToPolicy(new PolicyStatement({ actions: [...actions], resources: [...resources] }));
  }
}

/** Actions on the key of bucket, table and queues for a function that reads and writes. */
export const KEY_ACTIONS = [
  'kms:Decrypt',
  'kms:DescribeKey',
  'kms:Encrypt',
  'kms:GenerateDataKey',
  'kms:ReEncryptFrom',
  'kms:ReEncryptTo',
];

/** Actions with which Lambda connects a function to a VPC through its role. */
const NETWORK_ACTIONS = [
  'ec2:CreateNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:DeleteNetworkInterface',
  'ec2:AssignPrivateIpAddresses',
  'ec2:UnassignPrivateIpAddresses',
];

function networkOf({ vpc, vpcSubnets, securityGroups }: NetworkProps) {
  return {
    ...(vpc !== undefined && { vpc: vpc as IVpc }),
    ...(vpcSubnets !== undefined && { vpcSubnets }),
    ...(securityGroups !== undefined && { securityGroups }),
  };
}

/**
 * The code of a function. An installed package contains bundles. A clone bundles it during
 * synthesis, with source maps in the folder `source-maps` beside the template.
 */
function codeOf(folder: FunctionFolder, scope: Construct): Code {
  const bundled = fileURLToPath(new URL(`../bundles/${folder}`, import.meta.url));
  if (existsSync(bundled)) return Code.fromAsset(bundled);
  const sourceMaps = join(Stage.of(scope)?.outdir ?? '', 'source-maps');
  return Code.fromAsset(fileURLToPath(new URL(`../functions/${folder}`, import.meta.url)), {
    assetHashType: AssetHashType.OUTPUT,
    bundling: {
      // Never pulled: the local bundling below always succeeds or throws.
      image: DockerImage.fromRegistry('none'),
      local: {
        tryBundle(to) {
          bundleFunction(folder, { to, sourceMaps });
          return true;
        },
      },
    },
  });
}
