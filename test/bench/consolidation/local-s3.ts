import type { S3Client } from '@aws-sdk/client-s3';
import { s3Client } from '../../../shared/config/clients/s3.ts';

export function localS3(endpoint: string): S3Client {
  return s3Client({
    endpoint,
    region: 'us-east-1',
    credentials: { accessKeyId: 'local', secretAccessKey: 'local' },
  });
}
