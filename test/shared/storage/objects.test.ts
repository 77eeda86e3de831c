import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type LocalS3, startS3 } from '../../../infra/local/s3/server.ts';
import { s3Client } from '../../../shared/config/clients/s3.ts';
import { ConflictError, InvalidConfigurationError, UnavailableError } from '../../../shared/errors.ts';
import { ObjectStore } from '../../../shared/storage/objects.ts';

const credentials = { accessKeyId: 'local', secretAccessKey: 'local' };
const bytes = (text: string) => new TextEncoder().encode(text);

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

describe('an object store', () => {
  let server: LocalS3;
  let client: S3Client;
  let store: ObjectStore;
  let flat: ObjectStore;

  beforeAll(async () => {
    server = await startS3();
    server.createBucket('versioned', { versioned: true });
    server.createBucket('flat', { versioned: false });
    client = s3Client({ endpoint: server.endpoint, region: 'us-east-1', credentials });
    store = new ObjectStore(client, 'versioned');
    flat = new ObjectStore(client, 'flat');
  });
  afterAll(async () => {
    client.destroy();
    await server.close();
  });

  it('gives back the bytes, ETag and version that it wrote', async () => {
    const written = await store.put('a', bytes('one'));
    expect(written).toEqual({
      etag: expect.stringMatching(/^"[0-9a-f]{32}"$/),
      versionId: expect.any(String),
    });
    expect(await store.get('a')).toEqual({ body: bytes('one'), ...written });
  });

  it('has no version id where the bucket has no versions', async () => {
    const written = await flat.put('a', bytes('one'));
    expect(Object.keys(written)).toEqual(['etag']);
    expect(await flat.get('a')).toEqual({ body: bytes('one'), ...written });
  });

  it('answers undefined for missing or deleted objects, missing versions and delete markers', async () => {
    expect(await store.get('missing')).toBeUndefined();
    const { versionId = '' } = await store.put('deleted', bytes('x'));
    await store.delete('deleted');
    expect(await store.get('deleted')).toBeUndefined();
    const [marker] = await all(store.versions('deleted'));
    expect(marker).toMatchObject({ deleteMarker: true, latest: true });
    expect(await store.get('deleted', { versionId: marker?.versionId ?? '' })).toBeUndefined();
    await store.delete('deleted', { versionId });
    expect(await store.get('deleted', { versionId })).toBeUndefined();
  });

  it('answers not-modified while the ETag is the same', async () => {
    const { etag } = await store.put('cached', bytes('one'));
    expect(await store.get('cached', { ifNoneMatch: etag })).toBe('not-modified');
    await store.put('cached', bytes('two'));
    expect(await store.get('cached', { ifNoneMatch: etag })).toMatchObject({ body: bytes('two') });
  });

  it('reads an older version', async () => {
    const { versionId = '' } = await store.put('old', bytes('one'));
    await store.put('old', bytes('two'));
    expect(await store.get('old', { versionId })).toMatchObject({ body: bytes('one'), versionId });
  });

  it('creates only where there is nothing', async () => {
    await store.put('new', bytes('one'), { ifNoneMatch: true });
    const second = store.put('new', bytes('two'), { ifNoneMatch: true });
    await expect(second).rejects.toThrow(ConflictError);
    await expect(second).rejects.toThrow('new: found another object, expected none');
    expect(await store.get('new')).toMatchObject({ body: bytes('one') });
  });

  it('replaces only the version in the condition', async () => {
    const first = await store.put('state', bytes('one'), { ifNoneMatch: true });
    const second = await store.put('state', bytes('two'), { ifMatch: first.etag });
    const stale = store.put('state', bytes('three'), { ifMatch: first.etag });
    await expect(stale).rejects.toThrow(ConflictError);
    await expect(stale).rejects.toThrow(`state: found another object, expected ${first.etag}`);
    expect(await store.get('state')).toMatchObject({ body: bytes('two'), etag: second.etag });
  });

  it('reports a conflict when the object to replace is gone', async () => {
    const { etag } = await store.put('gone', bytes('one'));
    await store.delete('gone');
    const lost = store.put('gone', bytes('two'), { ifMatch: etag });
    await expect(lost).rejects.toThrow(ConflictError);
    await expect(lost).rejects.toThrow(`gone: found no object, expected ${etag}`);
  });

  it('lists every object under a prefix in order, over many pages', async () => {
    const names = Array.from({ length: 1005 }, (_, i) => `many/${String(i).padStart(4, '0')}`);
    for (let i = 0; i < names.length; i += 50) {
      await Promise.all(names.slice(i, i + 50).map((name) => flat.put(name, bytes(name))));
    }
    const listed = await all(flat.list('many/'));
    expect(listed.map(({ key }) => key)).toEqual(names);
    expect(listed[7]).toEqual({
      key: 'many/0007',
      size: 9,
      etag: expect.stringMatching(/^"[0-9a-f]{32}"$/),
      lastModified: expect.any(Date),
    });
    expect(await all(flat.list('none/'))).toEqual([]);
  });

  it('lists the versions of exactly one key from new to old, over many pages', async () => {
    const written: string[] = [];
    for (let i = 0; i < 1003; i++) {
      written.unshift((await store.put('history', bytes(String(i)))).versionId ?? '');
    }
    await store.put('history-of-another', bytes('x'));
    const listed = await all(store.versions('history'));
    expect(listed.map(({ versionId }) => versionId)).toEqual(written);
    expect(listed.map(({ latest }) => latest)).toEqual(written.map((_, i) => i === 0));
    expect(await all(store.versions('histor'))).toEqual([]);
  });

  it('reports a missing bucket as a permanent error, with the action', async () => {
    const nowhere = new ObjectStore(client, 'nowhere');
    const attempts = {
      'cannot read k in bucket nowhere: found NoSuchBucket (404)': () => nowhere.get('k'),
      'cannot write k in bucket nowhere: found NoSuchBucket (404)': () =>
        nowhere.put('k', bytes('x'), { ifMatch: '"e"' }),
      'cannot delete k in bucket nowhere: found NoSuchBucket (404)': () => nowhere.delete('k'),
      'cannot list p/ in bucket nowhere: found NoSuchBucket (404)': () => all(nowhere.list('p/')),
      'cannot list versions of k in bucket nowhere: found NoSuchBucket (404)': () =>
        all(nowhere.versions('k')),
    };
    for (const [message, attempt] of Object.entries(attempts)) {
      const failure = await attempt().catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(InvalidConfigurationError);
      expect(failure).toHaveProperty('message', expect.stringContaining(message));
      expect(failure).toHaveProperty('cause.name', 'NoSuchBucket');
    }
  });
});

describe('an object store whose S3 fails', () => {
  let server: Server | undefined;
  let client: S3Client | undefined;
  afterEach(async () => {
    client?.destroy();
    server?.closeAllConnections();
    await new Promise((resolve) => (server ? server.close(resolve) : resolve(undefined)));
  });

  async function failing(answer: RequestListener): Promise<ObjectStore> {
    const listening = createServer(answer);
    server = listening;
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve));
    const { port } = listening.address() as AddressInfo;
    client = s3Client({
      endpoint: `http://127.0.0.1:${port}`,
      region: 'us-east-1',
      credentials,
      maxAttempts: 1,
      requestHandler: { requestTimeout: 100, throwOnRequestTimeout: true },
    });
    return new ObjectStore(client, 'b');
  }

  const answering =
    (status: number, code: string): RequestListener =>
    (request, response) => {
      request.resume();
      response.writeHead(status, { 'content-type': 'application/xml' });
      response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>because</Message></Error>`);
    };

  it('repeats at once a write that overlapped with another one', async () => {
    let requests = 0;
    const store = await failing((request, response) => {
      if (++requests === 1) return answering(409, 'ConditionalRequestConflict')(request, response);
      request.resume();
      response.writeHead(200, { etag: '"e"' }).end();
    });
    expect(await store.put('k', bytes('x'), { ifNoneMatch: true })).toEqual({ etag: '"e"' });
    expect(requests).toBe(2);
  });

  it.each([
    [500, 'InternalError'],
    [503, 'SlowDown'],
    [429, 'TooManyRequests'],
    [409, 'ConditionalRequestConflict'],
    [400, 'RequestTimeout'],
    [400, 'BadDigest'],
    [400, 'ExpiredToken'],
  ])('throws a retryable error after %i %s', async (status, code) => {
    const store = await failing(answering(status, code));
    await expect(store.put('k', bytes('x'), { ifNoneMatch: true })).rejects.toThrow(UnavailableError);
    await expect(store.get('k')).rejects.toThrow(
      `cannot read k in bucket b: found ${code} (${status}): because`,
    );
  });

  it.each([
    [403, 'AccessDenied'],
    [403, 'SignatureDoesNotMatch'],
    [400, 'InvalidRequest'],
    [501, 'NotImplemented'],
  ])('throws a permanent error after %i %s', async (status, code) => {
    const store = await failing(answering(status, code));
    await expect(store.get('k')).rejects.toThrow(InvalidConfigurationError);
    await expect(store.get('k')).rejects.toThrow(`found ${code} (${status}): because`);
  });

  it.each<[string, RequestListener]>([
    ['no answer in time', (request) => request.resume()],
    ['a connection that is cut', (request) => request.socket.destroy()],
    [
      'a body that is cut',
      (_, response) => {
        response.writeHead(200, { 'content-length': '100' });
        response.write('only this', () => response.destroy());
      },
    ],
    [
      'a body that does not match its checksum',
      (_, response) => {
        response.writeHead(200, { 'content-length': '5', 'x-amz-checksum-crc32': 'AAAAAA==' });
        response.end('hello');
      },
    ],
    [
      'a page of a proxy instead of XML',
      (_, response) => {
        response.writeHead(502, { 'content-type': 'text/html' });
        response.end('<html><body>Bad gateway<br></body></html>');
      },
    ],
  ])('throws a retryable error after %s', async (_, answer) => {
    const store = await failing(answer);
    const failure = await store.get('k').catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(UnavailableError);
    expect(failure).toHaveProperty('message', expect.stringContaining('cannot read k in bucket b: found '));
    expect(failure).toHaveProperty('cause', expect.any(Error));
  });

  it('is asked for no further page after the versions of other keys begin', async () => {
    let pages = 0;
    const store = await failing((_, response) => {
      pages++;
      response.end(
        `<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k2</NextKeyMarker>
         <Version><Key>k</Key><VersionId>v</VersionId><IsLatest>true</IsLatest></Version></ListVersionsResult>`,
      );
    });
    const listed = await all(store.versions('k'));
    expect(listed).toMatchObject([{ versionId: 'v', latest: true, deleteMarker: false }]);
    expect(pages).toBe(1);
  });

  it('throws a retryable error when no server listens', async () => {
    const store = await failing(() => {});
    await new Promise((resolve) => server?.close(resolve));
    server = undefined;
    await expect(store.get('k')).rejects.toThrow(/ECONNREFUSED/);
    await expect(store.get('k')).rejects.toThrow(UnavailableError);
  });
});
