import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import type { ExplainedError } from '../../shared/contract/answers.ts';
import { UnavailableError } from '../../shared/errors.ts';

/** The personalize function of the local stack. */
export interface PersonalizeFunction {
  readonly client: LambdaClient;
  readonly functionName: string;
  readonly signal: AbortSignal;
}

/**
 * @throws UnavailableError when the function fails or refuses the request; the signal's reason when
 * it is aborted
 */
export async function askPersonalize<Answer extends object>(
  { client, functionName, signal }: PersonalizeFunction,
  request: object,
): Promise<Answer> {
  const response = await client.send(
    new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify(request) }),
    { abortSignal: signal },
  );
  const text = Buffer.from(response.Payload ?? []).toString('utf8');
  if (response.FunctionError !== undefined) throw new UnavailableError(`personalize failed: ${text}`);
  const answer = JSON.parse(text) as Answer | { error: ExplainedError };
  if ('error' in answer) throw new UnavailableError(`personalize refused a request: ${answer.error.message}`);
  return answer;
}
