import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { type LocalS3, startS3 } from '../../../../infra/local/s3/server.ts';

let server: LocalS3;
beforeAll(async () => {
  server = await startS3();
});
afterAll(() => server.close());

const etagOf = (body: string) => `"${createHash('md5').update(body).digest('hex')}"`;

/**
 * A minimal model of the documented behaviour: the versions of each key; `null` is a delete marker.
 */
interface Model {
  readonly versions: Map<string, { readonly id: string; readonly body: string | null }[]>;
}
interface Real {
  readonly bucket: string;
}

const url = ({ bucket }: Real, key: string, query = '') => `${server.endpoint}/${bucket}/${key}${query}`;
const topOf = (model: Model, key: string) => model.versions.get(key)?.at(-1);

function same(what: string, found: unknown, expected: unknown): void {
  if (found !== expected) throw new Error(`${what}: found ${found}, expected ${expected}`);
}

class Put implements fc.AsyncCommand<Model, Real> {
  readonly key: string;
  readonly body: string;
  readonly condition: string | undefined;

  constructor(key: string, body: string, condition: string | undefined) {
    this.key = key;
    this.body = body;
    this.condition = condition;
  }

  check = () => true;
  toString = () => `put ${this.key} ${this.body} ${this.condition}`;

  async run(model: Model, real: Real) {
    const current = topOf(model, this.key)?.body ?? null;
    let expected = 200;
    const headers: Record<string, string> = {};
    if (this.condition === '*') {
      headers['if-none-match'] = '*';
      if (current !== null) expected = 412;
    } else if (this.condition !== undefined) {
      headers['if-match'] = etagOf(this.condition);
      if (current === null) expected = 404;
      else if (current !== this.condition) expected = 412;
    }
    const response = await fetch(url(real, this.key), { method: 'PUT', body: this.body, headers });
    await response.text();
    same('status', response.status, expected);
    if (expected !== 200) return;
    same('etag', response.headers.get('etag'), etagOf(this.body));
    const id = response.headers.get('x-amz-version-id') ?? '';
    model.versions.set(this.key, [...(model.versions.get(this.key) ?? []), { id, body: this.body }]);
  }
}

class Delete implements fc.AsyncCommand<Model, Real> {
  readonly key: string;
  /** Index of the version, counted from the newest; undefined creates a delete marker. */
  readonly back: number | undefined;

  constructor(key: string, back: number | undefined) {
    this.key = key;
    this.back = back;
  }

  check = () => true;
  toString = () => `delete ${this.key} ${this.back}`;

  async run(model: Model, real: Real) {
    const stack = model.versions.get(this.key) ?? [];
    const version = this.back === undefined ? undefined : stack.at(-1 - this.back);
    if (this.back !== undefined && version === undefined) return;
    const query = version === undefined ? '' : `?versionId=${version.id}`;
    const response = await fetch(url(real, this.key, query), { method: 'DELETE' });
    same('status', response.status, 204);
    const id = response.headers.get('x-amz-version-id') ?? '';
    model.versions.set(
      this.key,
      version === undefined ? [...stack, { id, body: null }] : stack.filter((other) => other !== version),
    );
  }
}

class ReadAll implements fc.AsyncCommand<Model, Real> {
  check = () => true;
  toString = () => 'read all';

  async run(model: Model, real: Real) {
    for (const [key, stack] of model.versions) {
      const current = stack.at(-1)?.body ?? null;
      const response = await fetch(url(real, key));
      const text = await response.text();
      same(`status of ${key}`, response.status, current === null ? 404 : 200);
      if (current !== null) same(`body of ${key}`, text, current);
    }
    const keys = [...model.versions.keys()].sort();
    const live = keys.filter((key) => (topOf(model, key)?.body ?? null) !== null);
    const listed = await (await fetch(url(real, '?list-type=2'))).text();
    same('keys', [...listed.matchAll(/<Key>(\w+)<\/Key>/g)].map((match) => match[1]).join(), live.join());
    const all = await (await fetch(url(real, '?versions'))).text();
    const ids = [...all.matchAll(/<VersionId>(\w+)<\/VersionId>/g)].map((match) => match[1]);
    const expected = [...model.versions.values()].flat().map(({ id }) => id);
    same('versions', ids.sort().join(), expected.sort().join());
  }
}

describe('a versioned bucket', () => {
  it('matches the documented behaviour for any sequence of writes, deletes and reads', async () => {
    const key = fc.constantFrom('a', 'b', 'c');
    const body = fc.constantFrom('one', 'two', 'three');
    const commands = fc.commands(
      [
        fc
          .tuple(key, body, fc.option(fc.constantFrom('*', 'one', 'two', 'three'), { nil: undefined }))
          .map(([k, b, condition]) => new Put(k, b, condition)),
        fc.tuple(key, fc.option(fc.nat(3), { nil: undefined })).map(([k, back]) => new Delete(k, back)),
        fc.constant(new ReadAll()),
      ],
      { maxCommands: 40, size: 'max' },
    );
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(commands, async (sequence) => {
        const bucket = `run-${runs++}`;
        server.createBucket(bucket, { versioned: true });
        await fc.asyncModelRun(
          () => ({ model: { versions: new Map() }, real: { bucket } }),
          [...sequence, new ReadAll()],
        );
      }),
      { numRuns: 40 },
    );
  });
});
