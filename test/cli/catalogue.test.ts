import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, request as forward } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LocalStack } from '../../infra/local/local-stack.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { layOutTensors, type NamedTensor } from '../../shared/storage/safetensors.ts';
import { writeAssembly } from '../support/assembly-fixture.ts';
import { runAttune } from '../support/run-attune.ts';

const SETTINGS = { embeddingDim: 16, embeddingModel: 'm', rank: 2, scalingFactor: 1, learner: 'bayesian' };
const random = createRandom('catalogue command');

let folder: string;
let stack: LocalStack;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'attune-catalogue-'));
  stack = await LocalStack.start({
    assemblyDir: writeAssembly(
      folder,
      { Adapters: { Type: 'AWS::S3::Bucket', Properties: {} } },
      {},
      { [OUTPUT.bucketName]: { Value: { Ref: 'Adapters' } } },
    ),
  });
  const outputs = {
    [OUTPUT.bucketName]: stack.outputs[OUTPUT.bucketName],
    [OUTPUT.learningSettings]: JSON.stringify(SETTINGS),
  };
  writeFileSync(join(folder, 'outputs.json'), JSON.stringify({ Attune: outputs }));
});
afterAll(async () => {
  await stack.stop();
  rmSync(folder, { recursive: true });
});

const item = (id: number, more: object = {}) => ({
  itemId: `film-${id}`,
  embedding: Array.from({ length: 16 }, () => random.normal()),
  ...more,
});

function catalogue(args: readonly string[], lines: readonly object[] = []) {
  return runAttune(['catalogue', ...args, '--outputs', join(folder, 'outputs.json')], {
    env: { ...stack.environment },
    input: lines.map((line) => JSON.stringify(line)).join('\n'),
  });
}

const resultOf = ({ stdout, stderr }: { stdout: string; stderr: string }) => {
  expect(stderr).toBe('');
  return JSON.parse(stdout);
};

test('catalogue put, update and remove change the catalogue, and put computes a basis', async () => {
  const missing = await catalogue(['stats']);
  expect(missing).toEqual({
    code: 2,
    stdout: '',
    stderr:
      'attune: found no catalogue of embeddings of m with 16 numbers, expected attune catalogue put first\n',
  });

  const items = Array.from({ length: 50 }, (_, i) => item(i, { attributes: { year: 1980 + i } }));
  const put = resultOf(await catalogue(['put', '-', '--json'], items));
  expect(put).toMatchObject({ version: 1, items: 50, added: 50, shardsWritten: 1 });
  expect(put.basis).toMatch(/^[0-9a-f]{16}$/);

  const changes = [item(3, { attributes: { year: 2020 } }), item(50)];
  expect(resultOf(await catalogue(['update', '-', '--json'], changes))).toMatchObject({
    version: 2,
    items: 51,
    added: 1,
    changed: 1,
  });
  expect(resultOf(await catalogue(['remove', 'film-7', 'film-99', '--json']))).toMatchObject({
    version: 3,
    items: 50,
    removed: 1,
    unknown: 1,
  });
  expect(resultOf(await catalogue(['stats', '--json']))).toMatchObject({
    version: 3,
    items: 50,
    shards: 1,
    shardsWithFeatures: 1,
    basis: put.basis,
  });
  const { stdout } = await catalogue(['stats']);
  expect(stdout).toMatch(/^50 items in 1 shard of \d+ bytes, version 3 of .*\n1 of 1 shards have features/);
});

test('an invalid line of the catalogue file is named, and changes nothing', async () => {
  const before = await catalogue(['stats', '--json']);
  const ended = await catalogue(['put', '-'], [item(1), { itemId: 'film-2', embedding: [1, 2] }]);
  expect(ended).toEqual({
    code: 2,
    stdout: '',
    stderr: 'attune: - line 2, embedding: found 2 numbers, expected 16 numbers\n',
  });
  expect(await catalogue(['put', '-'])).toMatchObject({
    code: 2,
    stderr: 'attune: -: found no item, expected at least one\n',
  });
  expect(await catalogue(['stats', '--json'])).toEqual(before);
});

describe('Ctrl-C', () => {
  let before: unknown;
  beforeAll(async () => {
    before = await catalogue(['stats', '--json']);
  });

  test('while items are read says that nothing was written', async () => {
    const ended = await runAttune(['catalogue', 'put', '-', '--outputs', join(folder, 'outputs.json')], {
      env: { ...stack.environment },
      // More than fits into a pipe, so the command reads when all of it is written.
      started: (process) =>
        process.stdin.write(`${JSON.stringify(item(1))}\n`.repeat(5_000), () => process.kill('SIGINT')),
    });
    expect(ended).toEqual({
      code: 130,
      stdout: '',
      stderr: 'attune: interrupted before anything was written, so the catalogue is unchanged\n',
    });
    expect(await catalogue(['stats', '--json'])).toEqual(before);
  });

  test('while shards are written leaves the earlier version, and the next upload completes', async () => {
    // Two shards, which are written at the same time.
    const lines = Array.from({ length: 4_100 }, (_, i) => item(i, { attributes: { genre: 'western' } }));
    let child: ChildProcess | undefined;
    const slow = createServer(async (request, response) => {
      const isShard = request.method === 'PUT' && request.url!.includes('/catalogue/shards/');
      if (isShard) {
        child?.kill('SIGINT');
        // A second signal would end the process at once.
        child = undefined;
        // The process has received the signal long before this request ends.
        await setTimeout(500);
      }
      const { method, url: path, headers } = request;
      const forwarded = forward(new URL(path!, stack.endpoints.s3), { method, headers }, (answer) => {
        response.writeHead(answer.statusCode!, answer.headers);
        answer.pipe(response);
      });
      request.pipe(forwarded);
    });
    await new Promise<void>((resolve) => slow.listen(0, '127.0.0.1', resolve));
    const { port } = slow.address() as AddressInfo;
    try {
      const ended = await runAttune(
        ['catalogue', 'put', '-', '--json', '--outputs', join(folder, 'outputs.json')],
        {
          env: { ...stack.environment, AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${port}` },
          started: (process) => {
            child = process;
            process.stdin.end(lines.map((line) => JSON.stringify(line)).join('\n'));
          },
        },
      );
      expect(ended).toEqual({
        code: 130,
        stdout: '',
        stderr:
          'attune: interrupted, so the catalogue is unchanged; the same command goes on with what it has written\n',
      });
    } finally {
      slow.closeAllConnections();
      await new Promise((resolve) => slow.close(resolve));
    }
    expect(await catalogue(['stats', '--json'])).toEqual(before);
    expect(resultOf(await catalogue(['put', '-', '--json'], lines))).toMatchObject({
      items: 4_100,
      shardsWritten: 0,
    });
  });
});

test.each([
  [[], 'found neither --user nor --similar-to'],
  [['--user', 'ada'], 'found neither --function-name nor --outputs'],
  [['--user', 'ada', '--filter', '{'], 'expected JSON.'],
  [['--user', 'ada', '--limit', '501'], 'expected a whole number from 1 to 500.'],
  [['--user', 'ada', '--max-per-value', 'genre'], 'such as genre=2.'],
])('attune recommend answers a mistake with one line and exit code 2: %j', async (args, line) => {
  const { code, stderr } = await runAttune(['recommend', ...args]);
  expect(code).toBe(2);
  expect(stderr).toContain(line);
  expect(stderr.trimEnd().split('\n')).toHaveLength(1);
});

describe('a safetensors file', () => {
  const path = () => join(folder, 'items.safetensors');
  const ids = Array.from({ length: 30 }, (_, i) => `row-${i} é`);
  const rows = Float32Array.from({ length: 30 * 16 }, () => random.normal());
  const embeddings = { shape: [30, 16], values: rows };
  const put = (metadata: Record<string, string>, tensors: Record<string, NamedTensor> = { embeddings }) => {
    writeFileSync(path(), layOutTensors({ tensors, metadata }));
    return catalogue(['put', path(), '--json']);
  };
  const attributes = ids.map((_, i) => ({ place: i }));

  test.each([
    ['F32', rows],
    ['F16', Float16Array.from(rows)],
  ])('puts the same catalogue as lines do, from %s', async (_, values) => {
    const metadata = { ids: JSON.stringify(ids), attributes: JSON.stringify(attributes) };
    // In the order of bytes, another tensor comes first.
    const other = { shape: [3], values: Float64Array.of(1, 2, 3) };
    const result = await put(metadata, { embeddings: { shape: [30, 16], values }, other });
    expect(resultOf(result)).toMatchObject({ items: 30, added: 30 });
    const lines = ids.map((itemId, i) => ({
      itemId,
      embedding: [...values.subarray(i * 16, (i + 1) * 16)],
      attributes: attributes[i],
    }));
    // The name of a shard is the hash of its content, so nothing is written again.
    expect(resultOf(await catalogue(['put', '-', '--json'], lines))).toMatchObject({ shardsWritten: 0 });
  });
});
