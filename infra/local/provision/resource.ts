import { createHash } from 'node:crypto';
import { z } from 'zod';
import { InvalidConfigurationError, shown } from '../../../shared/errors.ts';
import type { Assembly } from '../assembly.ts';
import type { Clock } from '../clock.ts';
import type { LocalDynamoDb } from '../dynamodb.ts';
import type { EventSource } from '../event-source.ts';
import type { AsyncEvents } from '../lambda/async-events.ts';
import type { ColdStart, LocalFunction } from '../lambda/function.ts';
import type { FunctionUrl } from '../lambda/function-url.ts';
import type { LocalS3 } from '../s3/server.ts';
import type { Schedule } from '../schedule.ts';
import type { LocalSqs } from '../sqs.ts';

/** What resources are made of, and where those that act are put. */
export interface Services {
  readonly assembly: Assembly;
  readonly clock: Clock;
  readonly sqs: LocalSqs;
  readonly dynamodb: LocalDynamoDb;
  readonly s3: LocalS3;
  /** Variables that every function has beside the template's. */
  readonly environment: Readonly<Record<string, string>>;
  /** Upper bound of the events that one function runs at the same time. */
  readonly concurrency: number;
  readonly recordLine: (functionName: string, line: string) => void;
  /** Takes what the stack itself failed at, such as writing to a full disk. */
  readonly reportFault: (error: unknown) => void;
  readonly recordColdStart: (coldStart: ColdStart) => void;
  readonly asyncEvents: AsyncEvents;
  readonly functions: Map<string, LocalFunction>;
  readonly functionUrls: FunctionUrl[];
  readonly eventSources: EventSource[];
  readonly schedules: Schedule[];
}

/** One resource of the template, its references resolved. */
export interface Resource {
  readonly logicalId: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

/** What `Ref` and `Fn::GetAtt` of a resource stand for. */
export interface Provisioned {
  readonly ref: string;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Creates a resource, or takes over the one that the data folder already has. */
export type Provisioner = (resource: Resource, services: Services) => Provisioned | Promise<Provisioned>;

/** A property without meaning on one machine, such as encryption, tags or limits that protect a bill. */
export const ignored = z.unknown().optional();

/** CloudFormation takes numbers and booleans as strings too. */
export const count = z.coerce.number().int().min(0);
export const flag = z.union([z.boolean(), z.enum(['true', 'false']).transform((text) => text === 'true')]);

/**
 * The properties of a resource. Schemas are strict: a property that the local stack does not know is an error, so
 * that it cannot come to differ from what is deployed without anyone noticing.
 *
 * @throws InvalidConfigurationError naming the resource and every property that is not as expected
 */
export function parseProperties<T>(schema: z.ZodType<T>, { logicalId, properties }: Resource): T {
  const result = schema.safeParse(properties);
  if (result.success) return result.data;
  const faults = result.error.issues.map((issue) => {
    if (issue.code === 'unrecognized_keys') {
      const keys = issue.keys.map((key) => [...issue.path, key].join('.'));
      return `found ${keys.join(', ')}, which the local stack does not know`;
    }
    return `${issue.path.join('.')}: ${issue.message}`;
  });
  throw new InvalidConfigurationError(`${logicalId}: ${faults.join('; ')}`);
}

/** A name for a resource to which the template gives none: the same at every start, as its data goes by it. */
export function physicalName(services: Services, logicalId: string, longest: number): string {
  const name = `${services.assembly.stackName}-${logicalId}`;
  if (name.length <= longest) return name;
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 12);
  return `${name.slice(0, longest - hash.length - 1)}-${hash}`;
}

/**
 * The function that a name or ARN refers to.
 * @throws InvalidConfigurationError naming the resource that refers to it when there is none
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
 * The queue that an ARN refers to.
 * @throws InvalidConfigurationError naming the resource that refers to it when there is none
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
