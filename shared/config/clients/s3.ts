import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import { clientDefaults, hasOwnEndpoint } from './options.ts';

/** Milliseconds without a byte after which the body of a response is given up. */
const STALLED_BODY_MS = 5000;

/** A client for S3. Region, credentials and endpoint come from the standard environment unless `config` has them. */
export function s3Client(config: S3ClientConfig = {}): S3Client {
  const defaults = clientDefaults();
  return new S3Client({
    ...defaults,
    requestHandler: { ...defaults.requestHandler, socketTimeout: STALLED_BODY_MS },
    // An endpoint that is not AWS's has no host name for every bucket.
    forcePathStyle: config.endpoint !== undefined || hasOwnEndpoint('S3'),
    ...config,
  });
}
