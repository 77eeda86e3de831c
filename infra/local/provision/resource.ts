import { createHash } from 'node:crypto';
import { z } from 'zod';
import { InvalidConfigurationError, shown } from '../../../shared/errors.ts';
import { parseConfiguration } from '../../../shared/validation/faults.ts';
import type { Assembly } from '../assembly.ts';
import type { Clock } from '../clock.ts';
import type { LocalDynamoDb } from '../dynamodb.ts';
import type { EventSource } from '../event-source.ts';
import type { Permissions } from '../iam/permissions.ts';
import type { AsyncEvents } from '../lambda/async-events.ts';
import type { ColdStart, Invocation, LocalFunction } from '../lambda/function.ts';
import type { FunctionUrl } from '../lambda/function-url.ts';
import type { EventSourceMapping } from '../lambda/reads.ts';
import type { LocalS3 } from '../s3/server.ts';
import type { Schedule } from '../schedule.ts';
import type { LocalSqs } from '../sqs.ts';

/**
 * The services that provisioners use, and the collections to which they add functions, schedules
 * and the like.
 */
export interface Services {
  readonly assembly: Assembly;
  readonly clock: Clock;
  readonly permissions: Permissions;
  readonly sqs: LocalSqs;
  readonly dynamodb: LocalDynamoDb;
  readonly s3: LocalS3;
  /** Environment variables of every function, in addition to the template's. */
  readonly environment: Readonly<Record<string, string>>;
  /** Maximum number of concurrent events per function. */
  readonly concurrency: number;
  readonly recordLine: (functionName: string, line: string) => void;
  /** Receives faults of the stack itself, such as a full disk. */
  readonly reportFault: (error: unknown) => void;
  readonly recordColdStart: (coldStart: ColdStart) => void;
  readonly recordInvocation: (invocation: Invocation) => void;
  readonly asyncEvents: AsyncEvents;
  readonly functions: Map<string, LocalFunction>;
  readonly functionUrls: FunctionUrl[];
  readonly eventSources: EventSource[];
  readonly mappings: EventSourceMapping[];
  readonly schedules: Schedule[];
}

/** One resource of the template, with resolved references. */
export interface Resource {
  readonly logicalId: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** The values of `Ref` and `Fn::GetAtt` for a resource. */
export interface Provisioned {
  readonly ref: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Creates a resource, or updates the one in the data folder. */
export type Provisioner = (resource: Resource, services: Services) => Provisioned | Promise<Provisioned>;

/** A property without effect on one machine, such as encryption, tags or cost limits. */
export const ignored = z.unknown().optional();

/** CloudFormation also accepts numbers and booleans as strings. */
export const count = z.coerce.number().int().min(0);
export const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);

/**
 * Validates the properties of a resource. Schemas are strict: an unknown property is an error, so
 * that the local stack never silently differs from the deployed one.
 *
 * @throws InvalidConfigurationError naming the resource and every invalid property
 */
export function parseProperties<T>(schema: z.ZodType<T>, { logicalId, properties }: Resource): T {
  const known = 'only properties that the local stack supports';
  return parseConfiguration(schema, properties, { source: logicalId, known });
}

/**
 * The name of a resource without a name in the template. It is the same at every start, so that its
 * data is found.
 */
export function physicalName(
  services: Pick<Services, 'assembly'>,
  logicalId: string,
  longest: number,
): string {
  const name = `${services.assembly.stackName}-${logicalId}`;
  if (name.length <= longest) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 12);
  return `${name.slice(0, longest - hash.length - 1)}-${hash}`;
}

/**
 * Finds a function by name or ARN.
 * @param logicalId the resource with the reference, for the error message
 * @throws InvalidConfigurationError when there is no such function
 */
export function functionOf(services: Services, reference: string, logicalId: string): LocalFunction {
  const name = reference.split(':').at(-1) ?? '';
  const found = services.functions.get(name);
  if (found !== undefined) return found;
  throw new InvalidConfigurationError(
    `${logicalId}: found ${shown(reference)}, expected a function of the template`,
  );
}

/**
 * Finds a queue by ARN.
 * @param logicalId the resource with the reference, for the error message
 * @throws InvalidConfigurationError when there is no such queue
 */
export function queueOf(
  services: Services,
  arn: string,
  logicalId: string,
): NonNullable<ReturnType<LocalSqs['queueByArn']>> {
  const found = services.sqs.queueByArn(arn);
  if (found !== undefined) return found;
  throw new InvalidConfigurationError(`${logicalId}: found ${shown(arn)}, expected a queue of the template`);
}
