import { invokeFunction } from '../shared/client/invocation.ts';

/**
 * The answer of a function of the deployment.
 * @throws what {@link invokeFunction} throws
 */
export async function invoke<Answer extends object>(functionName: string, request: object): Promise<Answer> {
  const { lambdaClient } = await import('../shared/config/clients/lambda.ts');
  const client = lambdaClient();
  try {
    return await invokeFunction<Answer>(client, functionName, request);
  } finally {
    client.destroy();
  }
}
