/**
 * Milliseconds after which a request without an answer is retried, unless its client has its own
 * timeout.
 */
const REQUEST_TIMEOUT_MS = 5000;

/**
 * Options of all AWS clients: 3 attempts in all, and timeouts, so that a hanging call is retried
 * well before the calling function times out. Without `throwOnRequestTimeout` the SDK only warns.
 *
 * @param requestTimeout milliseconds from sending a request to the head of its response
 */
export function clientDefaults(requestTimeout = REQUEST_TIMEOUT_MS) {
  return {
    maxAttempts: 3,
    requestHandler: { connectionTimeout: 1000, requestTimeout, throwOnRequestTimeout: true },
  } as const;
}

/**
 * Whether the environment sets an endpoint for a service, by the variables that the SDK reads.
 * @param service as in `AWS_ENDPOINT_URL_<service>`
 */
export function hasOwnEndpoint(service: 'S3' | 'SQS'): boolean {
  return Boolean(process.env[`AWS_ENDPOINT_URL_${service}`] || process.env.AWS_ENDPOINT_URL);
}
