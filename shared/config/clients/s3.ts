import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { clientDefaults, hasOwnEndpoint } from './options.ts';

/** Milliseconds without a byte after which reading a response body fails. */
const STALLED_BODY_MS = 5000;

/** A client for S3. Region, credentials and endpoint default to the standard environment. */
export function s3Client(config: S3ClientConfig = {}): S3Client {
  const defaults = clientDefaults();
  return new S3Client({
    ...defaults,
    requestHandler: { ...defaults.requestHandler, socketTimeout: STALLED_BODY_MS },
    // An endpoint other than AWS's has no host name per bucket.
    forcePathStyle: config.endpoint !== undefined || hasOwnEndpoint('S3'),
    ...config,
  });
}
