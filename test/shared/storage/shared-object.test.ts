import { describe, expect, test } from 'vitest';
import { ConflictError, UnavailableError } from '../../../shared/errors.ts';
import type { ObjectStore, WriteCondition } from '../../../shared/storage/objects.ts';
import { SharedObject } from '../../../shared/storage/shared-object.ts';

const codec = {
  encode: (value: string) => Buffer.from(value),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString(),
};

/** One object with an ETag that counts its writes. */
function oneObject() {
  let stored: { body: Uint8Array; etag: string } | undefined;
  const requests: string[] = [];
  const objects: Pick<ObjectStore, 'get' | 'put'> = {
    async get(_, { ifNoneMatch } = {}) {
      requests.push(ifNoneMatch === undefined ? 'get' : 'revalidate');
      return stored !== undefined && stored.etag === ifNoneMatch ? 'not-modified' : stored;
    },
    async put(key, body, condition: WriteCondition = {}) {
      requests.push('put');
      const allowed = condition.ifNoneMatch ? stored === undefined : stored?.etag === condition.ifMatch;
      if (!allowed) throw new ConflictError(`${key} has changed`);
      stored = { body, etag: `"${requests.length}"` };
      return { etag: stored.etag };
    },
  };
  return { objects: objects as ObjectStore, requests };
}

describe('a shared object', () => {
  test('is read once while it is fresh, and revalidated by its ETag afterwards', async () => {
    const { objects, requests } = oneObject();
    await new SharedObject(objects, 'k', codec).write('one');
    let time = 0;
    const object = new SharedObject(objects, 'k', codec, { maxAgeMs: 100, now: () => time });
    expect(await object.read()).toBe('one');
    time = 100;
    expect(await object.read()).toBe('one');
    time = 101;
    expect(await object.read()).toBe('one');
    expect(requests).toEqual(['put', 'get', 'revalidate']);
  });

  test('does not ask again for a missing object while it is fresh', async () => {
    const { objects, requests } = oneObject();
    let time = 0;
    const object = new SharedObject(objects, 'k', codec, { maxAgeMs: 100, now: () => time });
    expect(await object.read()).toBeUndefined();
    expect(await object.read()).toBeUndefined();
    expect(requests).toEqual(['get']);
    await new SharedObject(objects, 'k', codec).write('late');
    time = 101;
    expect(await object.read()).toBe('late');
  });

  test('is asked for once by concurrent readers', async () => {
    const { objects, requests } = oneObject();
    const object = new SharedObject(objects, 'k', codec);
    await Promise.all([object.read(), object.read(), object.read()]);
    expect(requests).toEqual(['get']);
  });

  test('is read anew by a refresh, also during an older request', async () => {
    const { objects } = oneObject();
    const writer = new SharedObject(objects, 'k', codec);
    await writer.write('old');
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    let slow = true;
    const stalling = {
      ...objects,
      get: async (...args: Parameters<ObjectStore['get']>) => {
        const answer = await objects.get(...args);
        if (slow) await released;
        return answer;
      },
    } as ObjectStore;
    const object = new SharedObject(stalling, 'k', codec);
    const reading = object.read();
    await Promise.resolve();
    await writer.write('new');
    slow = false;
    expect(await object.refresh()).toBe('new');
    release();
    expect(await reading).toBe('new');
    expect(await object.read()).toBe('new');
  });

  test('is replaced only by a writer that has read the newest version', async () => {
    const { objects } = oneObject();
    const [a, b] = [new SharedObject(objects, 'k', codec), new SharedObject(objects, 'k', codec)];
    await Promise.all([a.refresh(), b.refresh()]);
    await a.write('first');
    await expect(b.write('second')).rejects.toThrow(ConflictError);
    expect(await b.refresh()).toBe('first');
    await b.write('second');
    expect(await a.refresh()).toBe('second');
    await a.write('third');
    expect(await b.refresh()).toBe('third');
  });

  test('stays usable while S3 does not answer', async () => {
    const { objects } = oneObject();
    let time = 0;
    let down = true;
    const flaky = {
      ...objects,
      get: (...args: Parameters<ObjectStore['get']>) =>
        down ? Promise.reject(new UnavailableError('S3 is down')) : objects.get(...args),
    } as ObjectStore;
    const object = new SharedObject(flaky, 'k', codec, { maxAgeMs: 100, now: () => time });
    await expect(object.read()).rejects.toThrow(UnavailableError);
    down = false;
    await new SharedObject(objects, 'k', codec).write('one');
    expect(await object.read()).toBe('one');
    time = 101;
    down = true;
    expect(await object.read()).toBe('one');
    await expect(object.refresh()).rejects.toThrow(UnavailableError);
  });
});
