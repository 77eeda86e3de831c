import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import {
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type S3UnderTest, s3UnderTest } from '../support/endpoints.ts';

const MISSING_VERSION = { name: 'NoSuchVersion', $metadata: { httpStatusCode: 404 } };

let s3: S3UnderTest;
beforeAll(async () => {
  s3 = await s3UnderTest();
});
afterAll(() => s3.stop());

const at = (name: string) => ({ Bucket: s3.bucket, Key: `${s3.prefix}${name}` });

function put(
  name: string,
  body: string | Uint8Array | Readable,
  options: Partial<PutObjectCommandInput> = {},
) {
  return s3.client.send(new PutObjectCommand({ ...at(name), Body: body, ...options }));
}

async function get(name: string, options: { VersionId?: string | undefined; IfNoneMatch?: string } = {}) {
  const found = await s3.client.send(new GetObjectCommand({ ...at(name), ...options }));
  return { ...found, text: (await found.Body?.transformToString()) ?? '' };
}

const remove = (name: string, options: { VersionId?: string; IfMatch?: string } = {}) =>
  s3.client.send(new DeleteObjectCommand({ ...at(name), ...options }));

/** An SDK exception by its name and status. */
const failure = (name: string, httpStatusCode: number) =>
  expect.objectContaining({ name, $metadata: expect.objectContaining({ httpStatusCode }) });

/** Statuses of racing writes, 200 for a success. AWS may answer a loser with 409 instead of 412. */
async function race(writes: Promise<unknown>[]) {
  const outcomes = await Promise.allSettled(writes);
  return outcomes.map((outcome) =>
    outcome.status === 'fulfilled' ? 200 : outcome.reason.$metadata.httpStatusCode,
  );
}

describe('a conditional write', () => {
  it('creates an object for one of 16 racing creators', async () => {
    const creators = Array.from({ length: 16 }, (_, i) => put('race', `creator ${i}`, { IfNoneMatch: '*' }));
    const statuses = await race(creators);
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect(statuses.filter((status) => status === 412 || status === 409)).toHaveLength(15);
    expect((await get('race')).text).toBe(`creator ${statuses.indexOf(200)}`);
  });

  it('replaces an object for one of 16 racing writers that read the same ETag', async () => {
    const { ETag = '' } = await put('update', 'before');
    const statuses = await race(
      Array.from({ length: 16 }, (_, i) => put('update', `writer ${i}`, { IfMatch: ETag })),
    );
    expect(statuses.filter((status) => status === 200)).toHaveLength(1);
    expect((await get('update')).text).toBe(`writer ${statuses.indexOf(200)}`);
  });

  it('with If-None-Match: * on an existing object fails with 412 and changes nothing', async () => {
    const { ETag } = await put('exists', 'first');
    await expect(put('exists', 'second', { IfNoneMatch: '*' })).rejects.toEqual(
      failure('PreconditionFailed', 412),
    );
    expect(await get('exists')).toMatchObject({ text: 'first', ETag });
  });

  it('with a stale ETag fails with 412 and changes nothing', async () => {
    const { ETag = '' } = await put('stale', 'first');
    await put('stale', 'second', { IfMatch: ETag });
    await expect(put('stale', 'third', { IfMatch: ETag })).rejects.toEqual(
      failure('PreconditionFailed', 412),
    );
    expect((await get('stale')).text).toBe('second');
  });

  it('with If-Match on a missing object fails with 404', async () => {
    await expect(put('absent', 'x', { IfMatch: `"${'0'.repeat(32)}"` })).rejects.toEqual(
      failure('NoSuchKey', 404),
    );
  });

  it('sees a deleted object as missing', async () => {
    const { ETag = '' } = await put('deleted', 'first');
    await remove('deleted');
    await expect(put('deleted', 'x', { IfMatch: ETag })).rejects.toEqual(failure('NoSuchKey', 404));
    await put('deleted', 'again', { IfNoneMatch: '*' });
    expect((await get('deleted')).text).toBe('again');
  });
});

describe('a read', () => {
  it('returns the bytes, their length and their MD5 as ETag', async () => {
    const bytes = randomBytes(100_000);
    await put('bytes', bytes);
    const found = await s3.client.send(new GetObjectCommand(at('bytes')));
    expect(Buffer.from((await found.Body?.transformToByteArray()) ?? []).equals(bytes)).toBe(true);
    expect(found.ContentLength).toBe(100_000);
    expect(found.ETag).toBe(`"${createHash('md5').update(bytes).digest('hex')}"`);
  });

  it('that starts after a write was acknowledged sees that write', async () => {
    for (let i = 0; i < 20; i++) {
      await put('fresh', `write ${i}`);
      expect((await get('fresh')).text).toBe(`write ${i}`);
    }
  });

  it('with the ETag that the reader has answers 304', async () => {
    const { ETag = '' } = await put('cached', 'x');
    await expect(get('cached', { IfNoneMatch: ETag })).rejects.toMatchObject({
      $metadata: { httpStatusCode: 304 },
    });
    await put('cached', 'y');
    expect((await get('cached', { IfNoneMatch: ETag })).text).toBe('y');
  });

  it('of a missing object fails with NoSuchKey, its HEAD with NotFound', async () => {
    await expect(get('nothing')).rejects.toEqual(failure('NoSuchKey', 404));
    await expect(s3.client.send(new HeadObjectCommand(at('nothing')))).rejects.toEqual(
      failure('NotFound', 404),
    );
  });

  it('from a bucket that does not exist fails with NoSuchBucket', async () => {
    const command = new GetObjectCommand({ Bucket: `attune-${randomBytes(12).toString('hex')}`, Key: 'x' });
    await expect(s3.client.send(command)).rejects.toEqual(failure('NoSuchBucket', 404));
  });

  it('gives back content type and user metadata', async () => {
    await put('described', 'x', { ContentType: 'text/csv', Metadata: { colour: 'blue', 'a-b': '1, 2' } });
    const expected = {
      ContentType: 'text/csv',
      ContentLength: 1,
      Metadata: { colour: 'blue', 'a-b': '1, 2' },
    };
    expect(await get('described')).toMatchObject(expected);
    expect(await s3.client.send(new HeadObjectCommand(at('described')))).toMatchObject(expected);
  });
});

describe('an object', () => {
  it('may be empty', async () => {
    const { ETag } = await put('empty', new Uint8Array());
    expect(ETag).toBe('"d41d8cd98f00b204e9800998ecf8427e"');
    expect(await get('empty')).toMatchObject({ text: '', ContentLength: 0 });
  });

  it.each([
    'with space+plus',
    'percent%41 & <xml> "quoted" \'s',
    'a//b/../c/./d/',
    'ünïcode-日本-🎬',
    '&lt;&amp;&#65;',
    'tab\tline\nreturn\rend',
    '?query=1#fragment;semi,comma:@!$*()',
  ])('may be named %j', async (name) => {
    await put(`odd/${name}`, name);
    expect((await get(`odd/${name}`)).text).toBe(name);
    const { Contents = [] } = await s3.client.send(
      new ListObjectsV2Command({ Bucket: s3.bucket, Prefix: at(`odd/${name}`).Key }),
    );
    expect(Contents.map(({ Key }) => Key)).toEqual([at(`odd/${name}`).Key]);
    await remove(`odd/${name}`);
    await expect(get(`odd/${name}`)).rejects.toEqual(failure('NoSuchKey', 404));
  });

  it('whose declared checksum is wrong is refused and not written', async () => {
    await expect(put('corrupt', 'hello', { ChecksumCRC32: 'AAAAAA==' })).rejects.toMatchObject({
      name: 'BadDigest',
      $metadata: { httpStatusCode: 400 },
    });
    await expect(put('corrupt', 'hello', { ContentMD5: 'AAAAAAAAAAAAAAAAAAAAAA==' })).rejects.toMatchObject({
      name: 'BadDigest',
    });
    await expect(get('corrupt')).rejects.toEqual(failure('NoSuchKey', 404));
  });

  it('may be uploaded as a stream of known length', async () => {
    const parts = [randomBytes(70_000), randomBytes(1), randomBytes(20_000)];
    await put('streamed', Readable.from(parts), { ContentLength: 90_001 });
    const found = await s3.client.send(new GetObjectCommand(at('streamed')));
    expect(Buffer.concat(parts).equals((await found.Body?.transformToByteArray()) ?? new Uint8Array())).toBe(
      true,
    );
    // How the bytes travelled is not part of the object.
    expect(found.ContentEncoding ?? '').toBe('');
  });
});

describe('versions', () => {
  it('are kept, each readable by its id', async () => {
    const first = await put('history', 'one');
    const second = await put('history', 'two');
    expect(first.VersionId).not.toBe(second.VersionId);
    expect((await get('history')).VersionId).toBe(second.VersionId);
    expect((await get('history', { VersionId: first.VersionId })).text).toBe('one');
  });

  it('are listed from new to old, delete markers among them', async () => {
    const first = await put('listed', 'one');
    const second = await put('listed', 'two, longer');
    const marker = await remove('listed');
    expect(marker.DeleteMarker).toBe(true);
    const { Versions = [], DeleteMarkers = [] } = await s3.client.send(
      new ListObjectVersionsCommand({ Bucket: s3.bucket, Prefix: at('listed').Key }),
    );
    expect(Versions).toMatchObject([
      { VersionId: second.VersionId, IsLatest: false, Size: 11, ETag: second.ETag },
      { VersionId: first.VersionId, IsLatest: false, Size: 3, ETag: first.ETag },
    ]);
    expect(DeleteMarkers).toMatchObject([{ VersionId: marker.VersionId, IsLatest: true }]);
  });

  it('are listed in pages that neither repeat nor lose any, even while they are being deleted', async () => {
    const written: (string | undefined)[] = [];
    for (let i = 0; i < 5; i++) written.unshift((await put('paged', `${i}`)).VersionId);
    const other = await put('paged-other', 'x');
    const seen: (string | undefined)[] = [];
    let markers: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } = {};
    for (;;) {
      const page = await s3.client.send(
        new ListObjectVersionsCommand({ Bucket: s3.bucket, Prefix: at('paged').Key, MaxKeys: 2, ...markers }),
      );
      const found = page.Versions ?? [];
      expect(found.length).toBeLessThanOrEqual(2);
      for (const { Key, VersionId } of found) {
        seen.push(VersionId);
        await s3.client.send(new DeleteObjectCommand({ Bucket: s3.bucket, Key, VersionId }));
      }
      if (!page.IsTruncated) break;
      markers = { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker };
    }
    expect(seen).toEqual([...written, other.VersionId]);
  });

  it('that were deleted by id are gone, and the newest remaining one becomes the latest', async () => {
    await put('pruned', 'zero');
    const first = await put('pruned', 'one');
    const { VersionId = '' } = await put('pruned', 'two');
    await remove('pruned', { VersionId });
    expect(await get('pruned')).toMatchObject({ text: 'one', VersionId: first.VersionId });
    await expect(get('pruned', { VersionId })).rejects.toMatchObject(MISSING_VERSION);
  });

  it('come back when their delete marker is deleted', async () => {
    await put('restored', 'one');
    const { VersionId = '' } = await remove('restored');
    await expect(get('restored')).rejects.toEqual(failure('NoSuchKey', 404));
    await expect(get('restored', { VersionId })).rejects.toMatchObject({
      $metadata: { httpStatusCode: 405 },
    });
    await remove('restored', { VersionId });
    expect((await get('restored')).text).toBe('one');
  });
});

describe('a delete', () => {
  it('of a missing object succeeds', async () => {
    expect((await remove('never-was')).$metadata.httpStatusCode).toBe(204);
  });

  it('with the ETag of an older object fails with 412', async () => {
    const { ETag: old = '' } = await put('guarded', 'one');
    const { ETag: current = '' } = await put('guarded', 'two');
    await expect(remove('guarded', { IfMatch: old })).rejects.toEqual(failure('PreconditionFailed', 412));
    expect((await get('guarded')).text).toBe('two');
    await remove('guarded', { IfMatch: current });
    await expect(get('guarded')).rejects.toEqual(failure('NoSuchKey', 404));
  });

  it('removes many keys and versions at once', async () => {
    const { VersionId } = await put('batch/a&b <c>', 'x');
    await put('batch/b', 'x');
    await put('batch/c', 'x');
    const { Deleted = [], Errors } = await s3.client.send(
      new DeleteObjectsCommand({
        Bucket: s3.bucket,
        Delete: { Objects: [{ Key: at('batch/a&b <c>').Key, VersionId }, { Key: at('batch/b').Key }] },
      }),
    );
    expect(Errors).toBeUndefined();
    expect(Deleted).toMatchObject([
      { Key: at('batch/a&b <c>').Key, VersionId },
      { Key: at('batch/b').Key, DeleteMarker: true },
    ]);
    const { Contents = [] } = await s3.client.send(
      new ListObjectsV2Command({ Bucket: s3.bucket, Prefix: at('batch/').Key }),
    );
    expect(Contents.map(({ Key }) => Key)).toEqual([at('batch/c').Key]);
  });
});

describe('a listing', () => {
  const NAMES = ['a', 'a/b', 'a/c/d', 'b', 'ä', '~', '\u{1F600}', '\uFFFD'];
  const inOrder = [...NAMES].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

  beforeAll(() => Promise.all(NAMES.map((name) => put(`list/${name}`, name))));

  it('is in the order of UTF-8 bytes, and contains only keys with the prefix', async () => {
    const { Contents = [], IsTruncated } = await s3.client.send(
      new ListObjectsV2Command({ Bucket: s3.bucket, Prefix: at('list/').Key }),
    );
    expect(Contents.map(({ Key }) => Key)).toEqual(inOrder.map((name) => at(`list/${name}`).Key));
    expect(Contents[0]).toMatchObject({ Size: 1, ETag: `"${createHash('md5').update('a').digest('hex')}"` });
    expect(IsTruncated).toBe(false);
  });

  it.each([1, 3, 8])('comes in pages of %i', async (MaxKeys) => {
    const keys: (string | undefined)[] = [];
    let ContinuationToken: string | undefined;
    do {
      const page = await s3.client.send(
        new ListObjectsV2Command({ Bucket: s3.bucket, Prefix: at('list/').Key, MaxKeys, ContinuationToken }),
      );
      expect(page.KeyCount).toBeLessThanOrEqual(MaxKeys);
      keys.push(...(page.Contents ?? []).map(({ Key }) => Key));
      ContinuationToken = page.NextContinuationToken;
    } while (ContinuationToken !== undefined);
    expect(keys).toEqual(inOrder.map((name) => at(`list/${name}`).Key));
  });

  it('groups keys by a delimiter', async () => {
    const { Contents = [], CommonPrefixes = [] } = await s3.client.send(
      new ListObjectsV2Command({ Bucket: s3.bucket, Prefix: at('list/a').Key, Delimiter: '/' }),
    );
    expect(Contents.map(({ Key }) => Key)).toEqual([at('list/a').Key]);
    expect(CommonPrefixes).toEqual([{ Prefix: at('list/a/').Key }]);
  });
});
