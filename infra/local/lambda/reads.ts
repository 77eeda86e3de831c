import type { IncomingMessage } from 'node:http';
import { type Authorize, accessKeyOf } from '../iam/permissions.ts';
import type { LocalFunction } from './function.ts';

/** The part of an event source mapping that Lambda's API returns. */
export interface EventSourceMapping {
  readonly UUID: string;
  readonly EventSourceArn: string;
  readonly FunctionArn: string;
  readonly State: 'Enabled' | 'Disabled';
  readonly ScalingConfig?: { readonly MaximumConcurrency: number };
}

/** What the local Lambda API knows. */
export interface LambdaState {
  /** By name. */
  readonly functions: ReadonlyMap<string, LocalFunction>;
  readonly mappings: readonly EventSourceMapping[];
}

/** The limits of a new account, so that the local stack shows the same limits. */
const NEW_ACCOUNT = { ConcurrentExecutions: 10, UnreservedConcurrentExecutions: 10 };

const CONFIGURATION = /^\/2015-03-31\/functions\/([^/]+)\/configuration$/;

/**
 * The answer to GetFunctionConfiguration, ListEventSourceMappings or GetAccountSettings; undefined
 * for another request, and for a function that does not exist.
 * @throws AccessDenied
 */
export function answerRead(
  { method, url = '/', headers }: IncomingMessage,
  { functions, mappings }: LambdaState,
  authorize: Authorize,
): object | 'no-function' | undefined {
  if (method !== 'GET') return undefined;
  const { pathname, searchParams } = new URL(url, 'http://localhost');
  const allow = (action: string, resource: string) =>
    authorize({ accessKeyId: accessKeyOf(headers.authorization), action: `lambda:${action}`, resource });
  if (pathname === '/2016-08-19/account-settings') {
    allow('GetAccountSettings', '*');
    return { AccountLimit: NEW_ACCOUNT };
  }
  if (pathname === '/2015-03-31/event-source-mappings') {
    allow('ListEventSourceMappings', '*');
    const name = functionName(searchParams.get('FunctionName') ?? '');
    return { EventSourceMappings: mappings.filter(({ FunctionArn }) => functionName(FunctionArn) === name) };
  }
  const reference = CONFIGURATION.exec(pathname)?.[1];
  if (reference === undefined) return undefined;
  const target = functions.get(functionName(decodeURIComponent(reference)));
  if (target === undefined) return 'no-function';
  const { name, arn, variables, memoryMb, timeoutSeconds } = target.configuration;
  allow('GetFunctionConfiguration', arn);
  return {
    FunctionName: name,
    FunctionArn: arn,
    State: 'Active',
    LastUpdateStatus: 'Successful',
    MemorySize: memoryMb,
    Timeout: timeoutSeconds,
    Environment: { Variables: variables ?? {} },
  };
}

/**
 * Lambda accepts a name, an ARN or a partial ARN, each with an optional version or alias suffix.
 */
export function functionName(reference: string): string {
  return reference.replace(/^.*function:/, '').split(':')[0] ?? '';
}
