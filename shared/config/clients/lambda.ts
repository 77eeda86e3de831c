import { LambdaClient, type LambdaClientConfig } from '@aws-sdk/client-lambda';
import { clientDefaults } from './options.ts';

/**
 * An invocation answers when the function ends: longer than the 5 minutes of the slowest function.
 */
const INVOCATION_MS = 310_000;

/** A client for Lambda. Region, credentials and endpoint default to the standard environment. */
export function lambdaClient(config: LambdaClientConfig = {}): LambdaClient {
  return new LambdaClient({ ...clientDefaults(INVOCATION_MS), ...config });
}
