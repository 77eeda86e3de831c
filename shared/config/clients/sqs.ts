import { SQSClient, type SQSClientConfig } from '@aws-sdk/client-sqs';
import { clientDefaults, hasOwnEndpoint } from './options.ts';

/**
 * A client for SQS. Region, credentials and endpoint default to the standard environment. A receive
 * that waits 5 seconds or more for messages needs `send(command, { requestTimeout })` above its
 * wait.
 */
export function sqsClient(config: SQSClientConfig = {}): SQSClient {
  return new SQSClient({
    ...clientDefaults(),
    // Otherwise the client sends to the host in the queue URL, regardless of its endpoint.
    useQueueUrlAsEndpoint: config.endpoint === undefined && !hasOwnEndpoint('SQS'),
    ...config,
  });
}
