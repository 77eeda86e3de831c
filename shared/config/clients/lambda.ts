import { LambdaClient, type LambdaClientConfig } from '@aws-sdk/client-lambda';
import { clientDefaults } from './options.ts';

/** An invocation answers when the function ends: above the 5 minutes that the slowest function may take. */
const INVOCATION_MS = 310_000;

/** A client for Lambda. Region, credentials and endpoint come from the standard environment unless `config` has them. */
export function lambdaClient(config: LambdaClientConfig = {}): LambdaClient {
  return new LambdaClient({ ...clientDefaults(INVOCATION_MS), ...config });
}
