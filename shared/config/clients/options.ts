/** Milliseconds until a request without an answer is given up and tried again, unless its client says otherwise. */
const REQUEST_TIMEOUT_MS = 5000;

/**
 * What all AWS clients share: 3 attempts in all, and timeouts, so that a call that hangs is tried again well before
 * the function that makes it runs out of time. Without `throwOnRequestTimeout` the SDK only warns.
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
 * Whether the environment sends a service to an endpoint of its own, by the variables that the SDK reads.
 * @param service as in `AWS_ENDPOINT_URL_<service>`
 */
export function hasOwnEndpoint(service: 'S3' | 'SQS'): boolean {
  return Boolean(process.env[`AWS_ENDPOINT_URL_${service}`] || process.env.AWS_ENDPOINT_URL);
}
