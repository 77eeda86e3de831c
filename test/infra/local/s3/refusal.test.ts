import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MAX_BODY_BYTES } from '../../../../infra/local/s3/body.ts';
import { type LocalS3, startS3 } from '../../../../infra/local/s3/server.ts';
import { InvalidConfigurationError } from '../../../../shared/errors.ts';

let server: LocalS3;
beforeAll(async () => {
  server = await startS3();
  server.createBucket('b', { versioned: true });
});
afterAll(() => server.close());

/** Sends a raw request. Returns status, S3's error code, text and headers of the response. */
async function request(
  method: string,
  path: string,
  { headers = {}, body }: { headers?: Record<string, string>; body?: string | Uint8Array<ArrayBuffer> } = {},
) {
  const response = await fetch(`${server.endpoint}${path}`, { method, headers, body: body ?? null });
  const text = await response.text();
  return {
    status: response.status,
    code: /<Code>(\w+)<\/Code>/.exec(text)?.[1],
    text,
    headers: response.headers,
  };
}

const chunkedHeaders = {
  'content-encoding': 'gzip, aws-chunked',
  'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER',
  'x-amz-decoded-content-length': '5',
  'x-amz-trailer': 'x-amz-checksum-crc32',
};
const putChunked = (key: string, body: string, headers: Record<string, string> = {}) =>
  request('PUT', `/b/${key}`, { headers: { ...chunkedHeaders, ...headers }, body });
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');

describe('an unsupported request', () => {
  it.each([
    ['GET', '/', 'GET on service'],
    ['PUT', '/b', 'PUT on bucket'],
    ['GET', '/b', 'GET on bucket'],
    ['GET', '/b?versioning', 'GET on bucket ?versioning'],
    ['POST', '/b/k?uploads', 'POST on object ?uploads'],
    ['PUT', '/b/k?tagging', 'PutObject with ?tagging'],
    ['GET', '/b/k?partNumber=1', 'GetObject with ?partNumber'],
    ['GET', '/b?list-type=2&start-after=x', 'ListObjectsV2 with ?start-after'],
    ['GET', '/b?versions&delimiter=%2F', 'ListObjectVersions with ?delimiter'],
  ])('%s %s is refused with the name of the unsupported part', async (method, path, named) => {
    const { status, code, text } = await request(method, path);
    expect({ status, code }).toEqual({ status: 501, code: 'NotImplemented' });
    expect(text).toContain(`does not implement ${named}<`);
  });

  it.each([
    ['GET', 'range', 'bytes=0-1', 'GetObject with the header range'],
    ['GET', 'if-modified-since', 'x', 'GetObject with the header if-modified-since'],
    ['PUT', 'x-amz-copy-source', '/b/x', 'PutObject with the header x-amz-copy-source'],
    ['PUT', 'x-amz-checksum-crc64nvme', 'x', 'the header x-amz-checksum-crc64nvme'],
    ['PUT', 'if-none-match', '"x"', 'PutObject with If-None-Match other than *'],
    ['DELETE', 'if-none-match', '*', 'DeleteObject with the header if-none-match'],
  ])('%s with %s is refused with the name of the unsupported part', async (method, header, value, named) => {
    const { status, text } = await request(method, '/b/k', { headers: { [header]: value } });
    expect(status).toBe(501);
    expect(text).toContain(`does not implement ${named}<`);
  });
});

describe('a request body', () => {
  it('in chunks with a trailing checksum is accepted and keeps its other encodings', async () => {
    // CRC32 of "hello" is 0x3610a686.
    const { status } = await putChunked(
      'ok',
      '2\r\nhe\r\n3\r\nllo\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n',
    );
    expect(status).toBe(200);
    const head = await request('HEAD', '/b/ok', { headers: { 'x-amz-checksum-mode': 'ENABLED' } });
    expect(head.headers.get('content-length')).toBe('5');
    expect(head.headers.get('content-encoding')).toBe('gzip');
    expect(head.headers.get('x-amz-checksum-crc32')).toBe('NhCmhg==');
    expect(head.headers.get('etag')).toBe('"5d41402abc4b2a76b9719d911017c592"');
  });

  it('in signed chunks is accepted without verification of the signatures', async () => {
    const signed = `5;chunk-signature=${'a'.repeat(64)}\r\nhello\r\n0;chunk-signature=${'b'.repeat(64)}\r\n\r\n`;
    const { status } = await request('PUT', '/b/signed', {
      headers: {
        'x-amz-content-sha256': 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD',
        'x-amz-decoded-content-length': '5',
      },
      body: signed,
    });
    expect(status).toBe(200);
    expect((await request('GET', '/b/signed')).text).toBe('hello');
  });

  it.each([
    ['a wrong trailing checksum', '5\r\nhello\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n', 'BadDigest'],
    ['no checksum although one was announced', '5\r\nhello\r\n0\r\n\r\n', 'MalformedTrailerError'],
    [
      'fewer bytes than announced',
      '4\r\nhell\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n',
      'IncompleteBody',
    ],
    ['a truncated chunk', '5\r\nhel', 'IncompleteBody'],
    [
      'a chunk longer than its size',
      '5\r\nhello!\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n',
      'IncompleteBody',
    ],
    ['a size that is not a number', 'five\r\nhello\r\n0\r\n\r\n', 'IncompleteBody'],
    ['no last chunk', '5\r\nhello\r\n', 'IncompleteBody'],
    ['no bytes', '', 'IncompleteBody'],
  ])('in chunks with %s is refused and not stored', async (_, body, code) => {
    expect(await putChunked('refused', body)).toMatchObject({ status: 400, code });
    expect((await request('GET', '/b/refused')).status).toBe(404);
  });

  it('is refused when it differs from the signed hash', async () => {
    const signed = (hashed: string) =>
      request('PUT', '/b/hashed', { headers: { 'x-amz-content-sha256': sha256(hashed) }, body: 'hello' });
    expect(await signed('other')).toMatchObject({ status: 400, code: 'XAmzContentSHA256Mismatch' });
    expect((await signed('hello')).status).toBe(200);
  });

  it.each([
    ['sha1', 'qvTGHdzF6KLavt4PO0gs2a6pQ00='],
    ['sha256', 'LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ='],
  ])('is compared with a declared %s checksum', async (algorithm, value) => {
    const declared = (checksum: string) =>
      request('PUT', '/b/sum', { headers: { [`x-amz-checksum-${algorithm}`]: checksum }, body: 'hello' });
    expect((await declared(value)).status).toBe(200);
    expect(await declared(`A${value.slice(1)}`)).toMatchObject({ status: 400, code: 'BadDigest' });
  });

  it('is refused with two declared checksums', async () => {
    const headers = {
      'x-amz-checksum-crc32': 'NhCmhg==',
      'x-amz-checksum-sha1': 'qvTGHdzF6KLavt4PO0gs2a6pQ00=',
    };
    expect(await request('PUT', '/b/two', { headers, body: 'hello' })).toMatchObject({ status: 400 });
  });

  it('of 64 MiB is accepted, and one byte more is refused', async () => {
    const body = new Uint8Array(MAX_BODY_BYTES + 1);
    expect(await request('PUT', '/b/large', { body })).toMatchObject({ status: 400, code: 'EntityTooLarge' });
    expect((await request('PUT', '/b/large', { body: body.subarray(1) })).status).toBe(200);
  });
});

describe('a malformed request', () => {
  it.each([
    ['GET', '/b/%E0%A4%A', 400, 'InvalidURI'],
    ['GET', `/b/${'ü'.repeat(513)}`, 400, 'KeyTooLongError'],
    ['GET', '/b/k?versionId=none-of-ours', 400, 'InvalidArgument'],
    ['GET', '/b?versions&key-marker=k&version-id-marker=x', 400, 'InvalidArgument'],
    ['GET', '/b?versions&version-id-marker=null', 400, 'InvalidArgument'],
    ['GET', '/b?list-type=2&max-keys=many', 400, 'InvalidArgument'],
    ['GET', '/b?list-type=2&max-keys=-1', 400, 'InvalidArgument'],
    ['GET', '/b?list-type=2&continuation-token=%21', 400, 'InvalidArgument'],
    ['GET', '/b?list-type=2&encoding-type=rot13', 400, 'InvalidArgument'],
    ['POST', '/b?delete', 400, 'MalformedXML'],
    ['GET', '/missing/k', 404, 'NoSuchBucket'],
  ])('%s %s fails with %i %s', async (method, path, status, code) => {
    expect(await request(method, path)).toMatchObject({ status, code });
  });

  it('with more than 2 KiB of user metadata is refused', async () => {
    const headers = { 'x-amz-meta-a': 'x'.repeat(2048) };
    expect(await request('PUT', '/b/k', { headers })).toMatchObject({
      status: 400,
      code: 'MetadataTooLarge',
    });
  });

  it('does not affect the next request on the same connection', async () => {
    expect((await request('PUT', '/b/k?tagging', { body: 'x'.repeat(100_000) })).status).toBe(501);
    expect((await request('PUT', '/b/k', { body: 'fine' })).status).toBe(200);
    expect((await request('GET', '/b/k')).text).toBe('fine');
  });
});

describe('a listing with encoding-type=url', () => {
  it('percent-encodes names', async () => {
    await request('PUT', '/b/enc/a%20b%01%26', { body: 'x' });
    const { text } = await request('GET', '/b?list-type=2&prefix=enc%2F&encoding-type=url');
    expect(text).toContain('<Key>enc/a%20b%01%26</Key>');
  });
});

describe('a bucket', () => {
  it('cannot become unversioned after it was versioned', () => {
    expect(() => server.createBucket('b', { versioned: false })).toThrow(InvalidConfigurationError);
  });

  it('keeps its objects under the version id null when it becomes versioned', async () => {
    server.createBucket('grown', { versioned: false });
    await request('PUT', '/grown/k', { body: 'replaced' });
    const before = await request('PUT', '/grown/k', { body: 'before' });
    expect(before.headers.get('x-amz-version-id')).toBeNull();
    server.createBucket('grown', { versioned: true });
    await request('PUT', '/grown/k', { body: 'after' });
    expect((await request('GET', '/grown/k')).text).toBe('after');
    expect((await request('GET', '/grown/k?versionId=null')).text).toBe('before');
    const { text } = await request('GET', '/grown?versions');
    expect(text.match(/<VersionId>/g)).toHaveLength(2);
  });

  it('without versioning removes deleted objects', async () => {
    server.createBucket('flat', { versioned: false });
    await request('PUT', '/flat/k', { body: 'x' });
    const gone = await request('DELETE', '/flat/k');
    expect(gone.status).toBe(204);
    expect(gone.headers.get('x-amz-delete-marker')).toBeNull();
    expect((await request('GET', '/flat/k')).status).toBe(404);
    expect((await request('GET', '/flat?versions')).text).not.toContain('<Key>k');
  });
});
