import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { LocalStack } from '../../infra/local/local-stack.ts';
import type { s3Client } from '../../shared/config/clients/s3.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { writeAssembly } from '../support/assembly-fixture.ts';
import { localS3Client } from '../support/local-clients.ts';
import { runAttune } from '../support/run-attune.ts';

const SETTINGS = { embeddingDim: 16, embeddingModel: 'm', rank: 2, scalingFactor: 1, learner: 'bayesian' };
const random = createRandom('basis command');

let folder: string;
let stack: LocalStack;
let s3: ReturnType<typeof s3Client>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'attune-basis-'));
  stack = await LocalStack.start({
    assemblyDir: writeAssembly(
      folder,
      { Adapters: { Type: 'AWS::S3::Bucket', Properties: {} } },
      {},
      { [OUTPUT.bucketName]: { Value: { Ref: 'Adapters' } } },
    ),
  });
  s3 = localS3Client(stack.endpoints.s3);
  deploy(SETTINGS);
});
afterAll(async () => {
  s3.destroy();
  await stack.stop();
  rmSync(folder, { recursive: true });
});

function deploy(settings: typeof SETTINGS): void {
  const outputs = {
    [OUTPUT.bucketName]: stack.outputs[OUTPUT.bucketName],
    [OUTPUT.learningSettings]: JSON.stringify(settings),
  };
  writeFileSync(join(folder, 'outputs.json'), JSON.stringify({ Attune: outputs }));
}

function build(items: readonly (readonly number[])[], ...options: string[]) {
  const args = ['basis', 'build', '-', '--outputs', join(folder, 'outputs.json'), ...options];
  const input = items.map((embedding) => JSON.stringify({ embedding })).join('\n');
  return runAttune(args, { env: { ...stack.environment }, input });
}

function storedBasis() {
  const objects = new ObjectStore(s3, stack.outputs[OUTPUT.bucketName]!);
  return learningObjects(objects, SETTINGS).basis.refresh();
}

const items = Array.from({ length: 400 }, () =>
  Array.from({ length: 16 }, (_, i) => random.normal() / (i + 1)),
);

it('stores the basis of a catalogue, and carries adapters over to the next one', async () => {
  const first = await build(items.slice(0, 200), '--json');
  expect(first).toMatchObject({ code: 0, stderr: '' });
  const built = JSON.parse(first.stdout);
  expect(built).toMatchObject({ items: 200, replaces: null, carryOverLoss: null, rank: 2 });
  expect(await storedBasis()).toMatchObject({ basis: { id: built.basis }, carryOvers: [] });

  expect(JSON.parse((await build(items.slice(0, 200), '--json')).stdout)).toEqual(built);

  const second = await build(items);
  expect(second.stdout).toMatch(new RegExp(`replaces ${built.basis}; .* covers \\d+\\.\\d % of the new one`));
  const { basis, carryOvers, learnedFrom } = (await storedBasis())!;
  expect(basis.id).not.toBe(built.basis);
  expect(learnedFrom).toBeUndefined();
  expect(carryOvers).toMatchObject([{ fromBasisId: built.basis }]);
  expect(second.stdout).toContain(`${((1 - carryOvers![0]!.loss) * 100).toFixed(1)} %`);
});

it('refuses a basis that covers little of the current one, without --force', async () => {
  // Directions that the previous catalogue hardly has.
  const few = items.slice(0, 3).map((item) => [...item].reverse());
  await build(items, '--force');
  const before = (await storedBasis())!.basis.id;
  const refused = await build(few);
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/items: found 3 items, whose basis misses \d+ % of the directions of basis/);
  expect((await storedBasis())!.basis.id).toBe(before);
  expect(await build(few, '--force')).toMatchObject({ code: 0 });
  expect((await storedBasis())!.basis.id).not.toBe(before);
  await build(items, '--force');
});

it.each([{ scalingFactor: 4 }, { embeddingModel: 'another' }])(
  'replaces a basis after the change %o, without carrying adapters over',
  async (change) => {
    await build(items);
    const settings = { ...SETTINGS, ...change };
    deploy(settings);
    const built = JSON.parse((await build(items, '--json')).stdout);
    expect(built).toMatchObject({ replaces: null, carryOverLoss: null });
    const stored = (await storedBasis())!;
    expect(stored).toMatchObject({
      basis: { id: built.basis, scale: settings.scalingFactor / settings.rank },
      embeddingModel: settings.embeddingModel,
      carryOvers: [],
    });
    deploy(SETTINGS);
  },
);
