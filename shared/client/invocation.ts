import type { LambdaClient } from '@aws-sdk/client-lambda';
import type { ExplainedError } from '../contract/answers.ts';
import {
  AttuneError,
  InvalidConfigurationError,
  InvalidInputError,
  NotFoundError,
  UnavailableError,
} from '../errors.ts';

/** The function refused the request and explained why. */
export class RefusedRequestError extends InvalidInputError {
  /** In the function's own words. */
  constructor({ field, found, expected, message }: ExplainedError) {
    super(field, found, expected);
    this.message = message;
  }
}

interface Failure {
  readonly errorType?: string;
  readonly errorMessage?: string;
}

/**
 * Invokes a function of the deployment.
 * @throws RefusedRequestError when the function refused the request
 * @throws NotFoundError when there is no such function
 * @throws InvalidConfigurationError when the caller has no credentials or may not invoke it
 * @throws UnavailableError when the function failed, Lambda throttled, or nothing answered
 */
export async function invokeFunction<Answer extends object>(
  client: LambdaClient,
  functionName: string,
  request: object,
  signal?: AbortSignal,
): Promise<Answer> {
  const { InvokeCommand } = await import('@aws-sdk/client-lambda');
  const command = new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(request) });
  try {
    const response = await client.send(command, signal === undefined ? {} : { abortSignal: signal });
    const text = Buffer.from(response.Payload ?? []).toString('utf8') || 'null';
    const payload = JSON.parse(text) as Answer | { error: ExplainedError } | Failure | null;
    if (response.FunctionError !== undefined) {
      // Lambda gives no error type for a timeout.
      const { errorType = response.FunctionError, errorMessage = text } = (payload ?? {}) as Failure;
      throw new UnavailableError(`function ${functionName} failed: ${errorType}: ${errorMessage}`);
    }
    if (payload === null || typeof payload !== 'object')
      throw new UnavailableError(`function ${functionName} answered ${text}, expected an object`);
    if ('error' in payload) throw new RefusedRequestError(payload.error);
    return payload as Answer;
  } catch (error) {
    signal?.throwIfAborted();
    throw translated(error, `function ${functionName}`);
  }
}

/** Names of errors that the caller has to fix. */
const MISCONFIGURED =
  /AccessDenied|CredentialsProvider|ExpiredToken|UnrecognizedClient|InvalidSignature|InvalidClientTokenId/;

/**
 * Translates an error of an SDK client.
 * @param what the called resource, such as `function f`
 */
export function translated(cause: unknown, what: string): unknown {
  if (cause instanceof AttuneError || !(cause instanceof Error)) return cause;
  const isAbsent =
    cause.name === 'ResourceNotFoundException' ||
    (cause.name === 'ValidationError' && cause.message.includes('does not exist'));
  if (isAbsent) return new NotFoundError(`found no ${what}`, { cause });
  const text = `${what}: ${cause.name}: ${cause.message || 'no answer'}`;
  return MISCONFIGURED.test(cause.name)
    ? new InvalidConfigurationError(text, { cause })
    : new UnavailableError(text, { cause });
}
