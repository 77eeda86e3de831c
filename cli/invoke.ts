import type { ExplainedError } from '../functions/personalize/http.ts';
import { AttuneError, NotFoundError, UnavailableError } from '../shared/errors.ts';

/**
 * What a function of the deployment answers.
 * @throws NotFoundError when there is no such function, UnavailableError when it failed, RefusedRequestError when it explained what is wrong with the request
 */
export async function invoke<Answer extends object>(functionName: string, request: object): Promise<Answer> {
  const [{ InvokeCommand, ResourceNotFoundException }, { lambdaClient }] = await Promise.all([
    import('@aws-sdk/client-lambda'),
    import('../shared/config/clients/lambda.ts'),
  ]);
  const client = lambdaClient();
  try {
    const response = await client.send(
      new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(request) }),
    );
    const text = Buffer.from(response.Payload ?? []).toString('utf8') || 'null';
    const payload = JSON.parse(text) as Answer | { error: ExplainedError } | Failure | null;
    if (response.FunctionError !== undefined) {
      // Of a function whose time was up, Lambda tells no type.
      const { errorType = response.FunctionError, errorMessage = text } = (payload ?? {}) as Failure;
      throw new UnavailableError(`function ${functionName} failed: ${errorType}: ${errorMessage}`);
    }
    if (payload === null || typeof payload !== 'object')
      throw new UnavailableError(`function ${functionName} answered ${text}, expected an object`);
    if ('error' in payload) throw new RefusedRequestError(payload.error.message);
    return payload as Answer;
  } catch (error) {
    if (!(error instanceof ResourceNotFoundException)) throw error;
    throw new NotFoundError(`found no function ${functionName}`, { cause: error });
  } finally {
    client.destroy();
  }
}

interface Failure {
  readonly errorType?: string;
  readonly errorMessage?: string;
}

/** The function has explained what is wrong with the request. */
class RefusedRequestError extends AttuneError {
  override readonly name = 'RefusedRequestError';
  readonly code = 'invalid-input';
  readonly retryable = false;
}
