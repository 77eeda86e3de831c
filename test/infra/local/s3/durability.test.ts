import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetObjectCommand, ListObjectVersionsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startS3 } from '../../../../infra/local/s3/server.ts';
import { InvalidConfigurationError } from '../../../../shared/errors.ts';
import { localS3Client } from '../../../support/local-clients.ts';

const BUCKET = 'durable';

/** Runs a server in its own process, so that a test can kill it. Prints the endpoint. */
const SERVE = `
  import { startS3 } from ${JSON.stringify(import.meta.resolve('../../../../infra/local/s3/server.ts'))};
  const server = await startS3({ dataDir: process.env.DATA_DIR });
  server.createBucket('${BUCKET}', { versioned: true });
  process.stdout.write(server.endpoint);`;

let dataDir: string;
let child: ChildProcess | undefined;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'attune-s3-'));
});
afterEach(async () => {
  child?.kill('SIGKILL');
  child = undefined;
  await rm(dataDir, { recursive: true });
});

async function serveInChild(): Promise<string> {
  child = spawn(process.execPath, ['--input-type=module', '--eval', SERVE], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, DATA_DIR: dataDir },
  });
  const [line] = await once(child.stdout ?? child, 'data');
  return String(line).trim();
}

/** The body of a key's n-th write, large enough to span many database pages. */
const bodyOf = (key: string, n: number) => `${key} ${n} `.repeat(3000);
const md5 = (text: string) => `"${createHash('md5').update(text).digest('hex')}"`;

describe('a server with a data folder', () => {
  it('has every acknowledged write after SIGKILL during writes', async () => {
    const client = localS3Client(await serveInChild());
    const acknowledged = new Map<string, number>();
    let total = 0;
    const enough = Promise.withResolvers<void>();
    const writer = async (key: string) => {
      for (let n = 1; ; n++) {
        await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: key, Body: bodyOf(key, n) }));
        acknowledged.set(key, n);
        if (++total === 120) enough.resolve();
      }
    };
    const writers = Promise.allSettled(['a', 'b', 'c', 'd'].map(writer));
    await enough.promise;
    child?.kill('SIGKILL');
    await writers;
    client.destroy();

    const server = await startS3({ dataDir });
    const reader = localS3Client(server.endpoint);
    expect(acknowledged.size).toBe(4);
    for (const [key, count] of acknowledged) {
      const { Versions = [] } = await reader.send(
        new ListObjectVersionsCommand({ Bucket: BUCKET, Prefix: key }),
      );
      // The unacknowledged write of this key may be there or not.
      expect(Versions.length - count).toBeOneOf([0, 1]);
      for (const [i, { VersionId, ETag }] of Versions.toReversed().entries()) {
        const found = await reader.send(new GetObjectCommand({ Bucket: BUCKET, Key: key, VersionId }));
        expect(await found.Body?.transformToString()).toBe(bodyOf(key, i + 1));
        expect(ETag).toBe(md5(bodyOf(key, i + 1)));
      }
    }
    reader.destroy();
    await server.close();
  });

  it('keeps buckets, objects, ETags and metadata across a restart', async () => {
    const first = await startS3({ dataDir });
    first.createBucket(BUCKET, { versioned: true });
    const writer = localS3Client(first.endpoint);
    const { ETag, VersionId } = await writer.send(
      new PutObjectCommand({ Bucket: BUCKET, Key: 'k', Body: 'x', Metadata: { colour: 'blue' } }),
    );
    writer.destroy();
    await first.close();

    const second = await startS3({ dataDir });
    const reader = localS3Client(second.endpoint);
    const found = await reader.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' }));
    expect(found).toMatchObject({ ETag, VersionId, Metadata: { colour: 'blue' } });
    // The ETag of the first server is valid as a condition for the second one.
    const next = await reader.send(
      new PutObjectCommand({ Bucket: BUCKET, Key: 'k', Body: 'y', IfMatch: ETag }),
    );
    expect(next.VersionId).not.toBe(VersionId);
    reader.destroy();
    await second.close();
  });

  it('refuses a folder that another process has open', async () => {
    await serveInChild();
    await expect(startS3({ dataDir })).rejects.toThrow(InvalidConfigurationError);
    await expect(startS3({ dataDir })).rejects.toThrow(/s3\.sqlite: found .*locked/);
  });

  it('refuses a folder that it cannot create, and a file that is not a database', async () => {
    await writeFile(join(dataDir, 'file'), 'not a folder');
    await expect(startS3({ dataDir: join(dataDir, 'file') })).rejects.toThrow(InvalidConfigurationError);
    await writeFile(
      join(dataDir, 's3.sqlite'),
      'not a database, but long enough to be looked at'.repeat(100),
    );
    await expect(startS3({ dataDir })).rejects.toThrow(/found file is not a database/);
  });
});

describe('a server without a data folder', () => {
  it('loses all data when it is closed', async () => {
    const first = await startS3();
    first.createBucket(BUCKET, { versioned: false });
    await first.close();
    const second = await startS3();
    const reader = localS3Client(second.endpoint);
    await expect(reader.send(new GetObjectCommand({ Bucket: BUCKET, Key: 'k' }))).rejects.toMatchObject({
      name: 'NoSuchBucket',
    });
    reader.destroy();
    await second.close();
  });
});

describe('a server that is closed', () => {
  it('does not wait for a client that stalls during a write, and can be closed again', async () => {
    const server = await startS3({ dataDir });
    server.createBucket(BUCKET, { versioned: true });
    const socket = connect(Number(new URL(server.endpoint).port), '127.0.0.1');
    const cut = once(socket, 'close');
    socket.write(`PUT /${BUCKET}/k HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf`);
    await once(socket, 'connect');
    await Promise.all([server.close(), server.close(), cut]);
    await server.close();

    const second = await startS3({ dataDir });
    expect((await fetch(`${second.endpoint}/${BUCKET}/k`)).status).toBe(404);
    await second.close();
  });
});

describe('a server on a port in use', () => {
  it('fails with an error that names the port', async () => {
    const server = await startS3();
    const port = Number(new URL(server.endpoint).port);
    await expect(startS3({ port })).rejects.toThrow(InvalidConfigurationError);
    await expect(startS3({ port })).rejects.toThrow(
      new RegExp(`port ${port} for s3: found it in use by another program`),
    );
    await server.close();
  });
});
