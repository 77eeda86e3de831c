/**
 * What the contract tests run against. Each of them states one behaviour of AWS that Attune relies
 * on.
 *
 * By default they run against the local stack's own services. With `ATTUNE_CONTRACT_BUCKET` the S3
 * tests run against AWS, or an emulator of it: the name of an existing bucket with versioning
 * enabled, reached by the standard environment of the AWS SDK (`AWS_REGION`, credentials, and
 * `AWS_ENDPOINT_URL_S3` for an emulator). The credentials need GetObject, GetObjectVersion,
 * PutObject, DeleteObject, DeleteObjectVersion, ListBucket and ListBucketVersions. Objects are
 * written under `attune-contract/<random>/` and removed, with all versions, when the tests end.
 */
import { randomUUID } from 'node:crypto';
import { DeleteObjectsCommand, ListObjectVersionsCommand, type S3Client } from '@aws-sdk/client-s3';
import { startS3 } from '../../infra/local/s3/server.ts';
import { s3Client } from '../../shared/config/clients/s3.ts';
import { localS3Client } from './local-clients.ts';

export interface S3UnderTest {
  readonly client: S3Client;
  /** A versioned bucket. */
  readonly bucket: string;
  /** A key prefix of its own. */
  readonly prefix: string;
  /** Removes everything under the prefix, and stops the local server. */
  stop(): Promise<void>;
}

/** S3 as configured in the environment, or a local one. */
export async function s3UnderTest(): Promise<S3UnderTest> {
  const prefix = `attune-contract/${randomUUID()}/`;
  const bucket = process.env.ATTUNE_CONTRACT_BUCKET;
  if (bucket) {
    const client = s3Client();
    return {
      client,
      bucket,
      prefix,
      stop: async () => {
        await removeAllVersions(client, bucket, prefix);
        client.destroy();
      },
    };
  }
  const server = await startS3();
  server.createBucket('contract', { versioned: true });
  const client = localS3Client(server.endpoint);
  return {
    client,
    bucket: 'contract',
    prefix,
    stop: async () => {
      client.destroy();
      await server.close();
    },
  };
}

async function removeAllVersions(client: S3Client, bucket: string, prefix: string): Promise<void> {
  for (;;) {
    const { Versions = [], DeleteMarkers = [] } = await client.send(
      new ListObjectVersionsCommand({ Bucket: bucket, Prefix: prefix }),
    );
    const found = [...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => ({ Key, VersionId }));
    if (found.length === 0) return;
    await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: found, Quiet: true } }));
  }
}
