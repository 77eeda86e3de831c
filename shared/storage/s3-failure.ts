import { S3ServiceException } from '@aws-sdk/client-s3';
import { InvalidConfigurationError, UnavailableError } from '../errors.ts';

/**
 * Statuses below 500 that are worth a retry: request timeout, conflicting writes, too many
 * requests.
 */
const RETRYABLE_STATUSES = [408, 409, 429];

/** S3's names of retryable errors whose status is that of a wrong request. */
const RETRYABLE_NAMES = [
  'RequestTimeout',
  'SlowDown',
  'ExpiredToken',
  // The body was damaged in transit.
  'BadDigest',
  'IncompleteBody',
  'XAmzContentSHA256Mismatch',
];

/** HTTP status of an error of the SDK; undefined when there was no answer. */
export function statusOf(error: unknown): number | undefined {
  return error instanceof S3ServiceException ? error.$metadata.httpStatusCode : undefined;
}

export function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

/**
 * Translates a failed S3 call: `UnavailableError` when a retry may succeed, which includes every
 * call without an answer; `InvalidConfigurationError` when S3 refused it for good. The SDK's error
 * is the cause.
 * @param action the attempted action, as in "cannot read"
 * @param key key or prefix of the object
 */
export function s3Failure(
  action: string,
  bucket: string,
  key: string,
  error: unknown,
): UnavailableError | InvalidConfigurationError {
  const status = statusOf(error);
  const found = status === undefined ? nameOf(error) : `${nameOf(error)} (${status})`;
  const message = error instanceof Error ? error.message : String(error);
  const text = `cannot ${action} ${key} in bucket ${bucket}: found ${found}: ${message}`;
  return isRetryable(status, nameOf(error))
    ? new UnavailableError(text, { cause: error })
    : new InvalidConfigurationError(text, { cause: error });
}

function isRetryable(status: number | undefined, name: string): boolean {
  if (status === undefined) return name !== 'CredentialsProviderError';
  // 501: S3 does not implement the request.
  if (status === 501) return false;
  return status >= 500 || RETRYABLE_STATUSES.includes(status) || RETRYABLE_NAMES.includes(name);
}
