import type { ExplainedError } from '../functions/personalize/http.ts';
import { AttuneError, UnavailableError } from '../shared/errors.ts';

/**
 * What a function of the deployment answers.
 * @throws UnavailableError when the function failed, RefusedRequestError when it explained what is wrong with the request
 */
export async function invoke<Answer extends object>(functionName: string, request: object): Promise<Answer> {
  const [{ InvokeCommand }, { lambdaClient }] = await Promise.all([
    import('@aws-sdk/client-lambda'),
    import('../shared/runtime/clients/lambda.ts'),
  ]);
  const client = lambdaClient();
  try {
    const response = await client.send(
      new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(request) }),
    );
    const payload = JSON.parse(Buffer.from(response.Payload ?? []).toString('utf8')) as
      | Answer
      | { error: ExplainedError };
    if (response.FunctionError !== undefined) {
      throw new UnavailableError(`function ${functionName} failed: ${JSON.stringify(payload)}`);
    }
    if ('error' in payload) throw new RefusedRequestError(payload.error.message);
    return payload;
  } finally {
    client.destroy();
  }
}

/** The function has explained what is wrong with the request. */
class RefusedRequestError extends AttuneError {
  override readonly name = 'RefusedRequestError';
  readonly code = 'invalid-input';
  readonly retryable = false;
}
