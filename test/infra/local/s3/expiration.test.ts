import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalS3, startS3 } from '../../../../infra/local/s3/server.ts';
import { localS3Client } from '../../../support/local-clients.ts';

let clock: number;
let server: LocalS3;
let client: S3Client;

beforeAll(async () => {
  server = await startS3({ now: () => clock });
  client = localS3Client(server.endpoint);
});
afterAll(async () => {
  client.destroy();
  await server.close();
});

const at = (time: string) => {
  clock = Date.parse(time);
};
const put = (Bucket: string, Key: string, Body = Key) =>
  client.send(new PutObjectCommand({ Bucket, Key, Body }));
const keys = async (Bucket: string) => {
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }));
  return Contents.map(({ Key }) => Key);
};
const versionIds = async (Bucket: string) => {
  const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }));
  return Versions.map(({ VersionId }) => VersionId);
};

describe('an expiration rule', () => {
  const rules = { expirations: [{ prefix: 'quarantine/', days: 3 }] };

  it('removes old objects under its prefix at the next midnight UTC', async () => {
    server.createBucket('plain', { versioned: false, ...rules });
    at('2026-01-15T10:30:00Z');
    await put('plain', 'quarantine/early');
    await put('plain', 'other');
    at('2026-01-16T00:00:00Z');
    await put('plain', 'quarantine/late');
    // Amazon S3 User Guide: created on 15 January at 10:30 with 3 days, expires on 19 January at
    // 00:00.
    at('2026-01-18T23:59:59.999Z');
    expect(await keys('plain')).toEqual(['other', 'quarantine/early', 'quarantine/late']);
    at('2026-01-19T00:00:00Z');
    expect(await keys('plain')).toEqual(['other', 'quarantine/late']);
    at('2026-01-20T00:00:00Z');
    expect(await keys('plain')).toEqual(['other']);
  });

  it('applies to a read without a preceding listing', async () => {
    server.createBucket('read', { versioned: false, ...rules });
    at('2026-02-01T12:00:00Z');
    await put('read', 'quarantine/x');
    at('2026-03-01T12:00:00Z');
    await expect(
      client.send(new GetObjectCommand({ Bucket: 'read', Key: 'quarantine/x' })),
    ).rejects.toMatchObject({
      name: 'NoSuchKey',
    });
  });

  it('lets a conditional create succeed after the object has expired', async () => {
    server.createBucket('again', { versioned: false, ...rules });
    at('2026-02-01T12:00:00Z');
    await put('again', 'quarantine/x', 'old');
    at('2026-03-01T12:00:00Z');
    const create = { Bucket: 'again', Key: 'quarantine/x', Body: 'new', IfNoneMatch: '*' };
    expect((await client.send(new PutObjectCommand(create))).$metadata.httpStatusCode).toBe(200);
  });

  it('creates a delete marker in a versioned bucket', async () => {
    server.createBucket('versioned', { versioned: true, ...rules });
    at('2026-01-01T12:00:00Z');
    const { VersionId } = await put('versioned', 'quarantine/x', 'kept');
    at('2026-02-01T12:00:00Z');
    expect(await keys('versioned')).toEqual([]);
    const found = await client.send(
      new GetObjectCommand({ Bucket: 'versioned', Key: 'quarantine/x', VersionId }),
    );
    expect(await found.Body?.transformToString()).toBe('kept');
  });

  it('applies to objects from the time before the rule', async () => {
    at('2026-01-01T12:00:00Z');
    server.createBucket('later', { versioned: false });
    await put('later', 'quarantine/x');
    at('2026-02-01T12:00:00Z');
    expect(await keys('later')).toEqual(['quarantine/x']);
    server.createBucket('later', { versioned: false, ...rules });
    expect(await keys('later')).toEqual([]);
  });
});

describe('a rule for noncurrent versions', () => {
  it('removes versions with an old replacement, except the newest ones', async () => {
    server.createBucket('history', {
      versioned: true,
      noncurrentExpirations: [{ prefix: 'adapters/', days: 30, keepNewest: 2 }],
    });
    const written: (string | undefined)[] = [];
    for (const day of ['01', '02', '03', '04', '05']) {
      at(`2026-01-${day}T12:00:00Z`);
      written.unshift((await put('history', 'adapters/u', day)).VersionId);
    }
    at('2026-01-31T12:00:00Z');
    expect(await versionIds('history')).toEqual(written);
    at('2026-03-01T12:00:00Z');
    expect(await versionIds('history')).toEqual(written.slice(0, 3));
  });

  it('counts from the day of the replacement, not of the write', async () => {
    server.createBucket('replaced', {
      versioned: true,
      noncurrentExpirations: [{ prefix: '', days: 1 }],
    });
    at('2026-01-01T12:00:00Z');
    const { VersionId } = await put('replaced', 'k', 'old');
    at('2026-06-01T12:00:00Z');
    const { VersionId: current } = await put('replaced', 'k', 'new');
    at('2026-06-02T23:59:59Z');
    expect(await versionIds('replaced')).toEqual([current, VersionId]);
    at('2026-06-03T00:00:00Z');
    expect(await versionIds('replaced')).toEqual([current]);
  });

  it('removes the versions of a deleted object', async () => {
    server.createBucket('deleted', { versioned: true, noncurrentExpirations: [{ prefix: '', days: 1 }] });
    at('2026-01-01T12:00:00Z');
    await put('deleted', 'k');
    await client.send(new DeleteObjectCommand({ Bucket: 'deleted', Key: 'k' }));
    at('2026-02-01T12:00:00Z');
    expect(await versionIds('deleted')).toEqual([]);
  });
});
