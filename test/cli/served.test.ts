import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyEvents } from '../../functions/update-adapters/apply-events.ts';
import { startS3 } from '../../infra/local/s3/server.ts';
import { AdapterCache } from '../../shared/adapters/adapter-cache.ts';
import type { StoredAdapter } from '../../shared/adapters/adapter-object.ts';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { importPeft } from '../../shared/adapters/peft.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { type FunctionSettings, learningSettingsOf } from '../../shared/config/settings.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { decodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { type Basis, basisFromEmbeddings, coefficientCount, features } from '../../shared/lora/basis.ts';
import { carryOversTo } from '../../shared/lora/carry-over.ts';
import { initialChoicePrior, prepareChoice } from '../../shared/lora/choice.ts';
import { forward } from '../../shared/lora/forward.ts';
import { preparePrior } from '../../shared/lora/prior.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { addOuterProduct, packedLength } from '../../shared/lora/symmetric.ts';
import { initialPopulationModel, type PopulationModel } from '../../shared/population/population-model.ts';
import { learningObjects, readSharedLearning } from '../../shared/population/shared-learning.ts';
import { personalize } from '../../shared/serving/personalize.ts';
import { ObjectStore } from '../../shared/storage/objects.ts';
import { SETTINGS } from '../support/container.ts';
import { localS3Client } from '../support/local-clients.ts';
import { runAttune } from '../support/run-attune.ts';

const random = createRandom('served');
const items = Array.from({ length: 60 }, () =>
  Float32Array.from({ length: SETTINGS.embeddingDim }, (_, i) => (i === 0 ? 2 : random.normal())),
);
const basis = basisFromEmbeddings(items, { rank: SETTINGS.rank, scalingFactor: 1, seed: 1 });

let server: Awaited<ReturnType<typeof startS3>>;
let client: ReturnType<typeof localS3Client>;
let folder: string;
beforeAll(async () => {
  server = await startS3();
  client = localS3Client(server.endpoint);
  folder = mkdtempSync(join(tmpdir(), 'attune-served-'));
});
afterAll(async () => {
  client.destroy();
  await server.close();
  rmSync(folder, { recursive: true });
});
/** A separate bucket in which ada has learned twice under the basis, without a consolidation. */
async function deployed(bucket: string, settings: FunctionSettings = SETTINGS) {
  server.createBucket(bucket, { versioned: true });
  const objects = new ObjectStore(client, bucket);
  const adapters = new AdapterStore(objects);
  const learning = learningObjects(objects, settings, { maxAgeMs: 0 });
  await learning.basis.write({ basis, embeddingModel: settings.embeddingModel });
  for (const n of [0, 1]) {
    const loaded = await adapters.load(userKey('ada'));
    const interactions = items.slice(20 * n, 20 * n + 20).map((embedding) => ({
      embedding,
      reward: embedding[1]! > 0 ? 0.9 : 0.1,
    }));
    const event = {
      schemaVersion: 1,
      eventId: `${n}`,
      userId: 'ada',
      occurredAt: '2026-01-01T00:00:00Z',
      interactions,
    } as const;
    const shared = await readSharedLearning(learning, settings);
    const { adapter } = applyEvents(loaded?.adapter, [event], shared, {
      userKey: userKey('ada'),
      settings,
      now: n + 1,
    });
    await adapters.commit(adapter!, loaded?.etag);
  }
  const change = async (edit: (adapter: StoredAdapter) => StoredAdapter) => {
    const loaded = (await adapters.load(userKey('ada')))!;
    await adapters.commit(edit(loaded.adapter), loaded.etag);
  };
  return { bucket, settings, adapters, learning, change };
}
type Deployed = Awaited<ReturnType<typeof deployed>>;

/**
 * What personalize answers, what export writes, and what the last update had stored, of the same
 * user.
 */
async function compare({ bucket, settings, adapters, learning }: Deployed) {
  const shared = () => readSharedLearning(learning, settings, 'refresh');
  const answer = await personalize(
    {
      userId: 'ada',
      candidates: items.map((embedding) => ({ embedding })),
      answer: 'embeddings',
      explain: false,
    },
    {
      settings,
      adapters,
      cache: new AdapterCache(),
      learning: shared,
      freshLearning: shared,
      neighbours: async () => undefined,
    },
  );
  const outputs = join(folder, `${bucket}.json`);
  const stack = {
    [OUTPUT.bucketName]: bucket,
    [OUTPUT.learningSettings]: JSON.stringify(learningSettingsOf(settings)),
  };
  writeFileSync(outputs, JSON.stringify({ Attune: stack }));
  const to = join(folder, bucket);
  const env = {
    AWS_ENDPOINT_URL_S3: server.endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'local',
    AWS_SECRET_ACCESS_KEY: 'local',
  };
  const run = (...args: string[]) => runAttune([...args, '--outputs', outputs], { env });
  const exported = await run('export', 'ada', '--to', to, '--format', 'peft');
  expect(exported).toMatchObject({ code: 0, stderr: '' });
  const lora = importPeft({
    'adapter_config.json': readFileSync(join(to, 'adapter_config.json'), 'utf8'),
    'adapter_model.safetensors': readFileSync(join(to, 'adapter_model.safetensors')),
  });
  const inspected = JSON.parse((await run('inspect', 'ada', '--json')).stdout);
  const stored = (await adapters.load(userKey('ada')))!.adapter.weights.b;
  const served = answer.items.map((item) =>
    decodeEmbedding((item as { embedding: string }).embedding, settings.embeddingDim, 'y'),
  );
  const largest = (ys: readonly Float32Array[]) =>
    Math.max(...ys.map((y, i) => Math.max(...y.map((value, k) => Math.abs(value - served[i]![k]!)))));
  return {
    source: answer.source,
    inspected,
    run,
    exportedDiffersBy: largest(items.map((x) => forward(lora, x))),
    storedB: Math.max(...stored.map((value, i) => Math.abs(value - (lora.b[i] ?? 0)))),
    moved: Math.max(...items.map((x, i) => Math.max(...served[i]!.map((y, k) => Math.abs(y - x[k]!))))),
  };
}

/** A population model whose prior says that everybody likes items along one axis. */
function skills(version: number, of: Basis = basis): PopulationModel {
  const initial = initialPopulationModel(of);
  const mean = initial.prior.mean.map((_, i) => (i % 3 === 0 ? 0.4 : 0));
  return { ...initial, version, priorVersion: version, prior: preparePrior({ ...initial.prior, mean }) };
}

/** The same for a deployment in which users only pick items. */
function choiceSkills(version: number): PopulationModel {
  const size = coefficientCount(basis) - 1;
  const mean = new Float64Array(size);
  const covariance = new Float64Array(packedLength(size));
  const psis = items.map((item) => {
    const psi = new Float64Array(size + 1);
    features(basis, item, psi);
    return psi.subarray(0, size);
  });
  for (const psi of psis) for (let i = 0; i < size; i++) mean[i]! += psi[i]! / items.length;
  for (const psi of psis)
    addOuterProduct(
      covariance,
      psi.map((value, i) => value - mean[i]!),
      1 / items.length,
    );
  const moments = { mean, covariance };
  const prior = initialChoicePrior(moments, 1);
  return { ...skills(version), choice: prepareChoice(prior, moments, { perPick: 1, saturation: 0 }) };
}

const HARMFUL = {
  count: 200,
  adapterLoss: 60,
  userMeanLoss: 20,
  warmStartLoss: 20,
  adapterUserMeanSquares: 20,
  adapterWarmStartSquares: 20,
  warmStartUserMeanSquares: 1,
};
const judged =
  (record: object) =>
  (adapter: StoredAdapter): StoredAdapter => ({
    ...adapter,
    state: { ...adapter.state, record: { ...adapter.state.record, ...record } },
  });

const STATES: Record<
  string,
  { source: string; stale: boolean; make: (bucket: string) => Promise<Deployed> }
> = {
  'after an update': { source: 'adapter', stale: false, make: (bucket) => deployed(bucket) },
  'after a consolidation': {
    source: 'adapter',
    stale: true,
    async make(bucket) {
      const deployment = await deployed(bucket);
      await deployment.learning.population.write(skills(1));
      return deployment;
    },
  },
  'after a change of basis': {
    source: 'adapter',
    stale: true,
    async make(bucket) {
      const deployment = await deployed(bucket);
      const next = basisFromEmbeddings(items.slice(9), { rank: SETTINGS.rank, scalingFactor: 1, seed: 2 });
      const carryOvers = carryOversTo(next, { basis }, items);
      await deployment.learning.basis.write({
        basis: next,
        embeddingModel: SETTINGS.embeddingModel,
        carryOvers,
      });
      return deployment;
    },
  },
  'while the guard serves the warm start': {
    source: 'warm-start',
    stale: true,
    async make(bucket) {
      const deployment = await deployed(bucket);
      await deployment.learning.population.write(skills(1));
      await deployment.change(judged(HARMFUL));
      return deployment;
    },
  },
  'while the guard serves the embeddings as they are': {
    source: 'base',
    stale: true,
    async make(bucket) {
      const deployment = await deployed(bucket);
      await deployment.change(judged({ ...HARMFUL, warmStartLoss: 60, warmStartUserMeanSquares: 20 }));
      return deployment;
    },
  },
  'where users only pick items': {
    source: 'adapter',
    stale: true,
    async make(bucket) {
      const deployment = await deployed(bucket);
      await deployment.learning.population.write(choiceSkills(1));
      return deployment;
    },
  },
  'of a user held out': {
    source: 'holdout',
    stale: true,
    make: (bucket) => deployed(bucket, { ...SETTINGS, holdout: 0.5 }),
  },
  'under other settings than it was learned with': {
    source: 'warm-start',
    stale: true,
    async make(bucket) {
      const deployment = await deployed(bucket);
      await deployment.learning.population.write(skills(1));
      await deployment.change((adapter) => ({ ...adapter, embeddingModel: 'an earlier one' }));
      return deployment;
    },
  },
  'without transfer': {
    source: 'adapter',
    stale: false,
    async make(bucket) {
      const deployment = await deployed(bucket, { ...SETTINGS, transfer: 'off' });
      await deployment.learning.population.write(skills(1));
      return deployment;
    },
  },
  'of the learner sgd': {
    source: 'adapter',
    stale: false,
    make: (bucket) => deployed(bucket, { ...SETTINGS, learner: 'sgd' }),
  },
};

describe('export and inspect', () => {
  it.each(Object.entries(STATES))('agree with what is served %s', async (state, { source, stale, make }) => {
    const deployment = await make(`served-${state.replaceAll(' ', '-')}`.slice(0, 60));
    const found = await compare(deployment);
    expect(found.source).toBe(source);
    expect(found.exportedDiffersBy).toBeLessThan(1e-6);
    expect(found.moved > 0.01).toBe(source === 'adapter' || source === 'warm-start');
    if (stale) expect(found.storedB).toBeGreaterThan(0.001);
    else expect(found.storedB).toBe(0);
    expect(found.inspected).toMatchObject({
      version: 2,
      served: source,
      servedSkillsVersion: (await readSharedLearning(deployment.learning, deployment.settings)).population
        .version,
      fitsDeployment: !state.includes('other settings'),
    });
  });

  it('report missing outputs, which are needed to know what is served', async () => {
    await deployed('no-outputs');
    const env = { AWS_ENDPOINT_URL_S3: server.endpoint, AWS_REGION: 'us-east-1' };
    const keys = { AWS_ACCESS_KEY_ID: 'local', AWS_SECRET_ACCESS_KEY: 'local' };
    const run = (...args: string[]) =>
      runAttune([...args, '--bucket', 'no-outputs'], { env: { ...env, ...keys } });
    expect(await run('export', 'ada', '--to', join(folder, 'x'), '--format', 'peft')).toEqual({
      code: 2,
      stdout: '',
      stderr: 'attune: found no --outputs, expected the file of cdk deploy --outputs-file\n',
    });
    expect(JSON.parse((await run('inspect', 'ada', '--json')).stdout)).toMatchObject({
      version: 2,
      served: null,
    });
    expect((await run('inspect', 'ada')).stdout).toMatch(/^ada gave \d+ rewards.*\.\n/);
  });
});

describe('rollback', () => {
  it('reports what is served afterwards, also when that is not the requested version', async () => {
    const deployment = await deployed('rolled-back');
    await deployment.learning.population.write(skills(1));
    await deployment.change((adapter) => ({ ...adapter, version: 3, embeddingModel: 'an earlier one' }));
    const { run } = await compare(deployment);
    const back = await run('rollback', 'ada', '--to', '1');
    expect(back).toMatchObject({ code: 0, stderr: '' });
    expect(back.stdout).toContain('version 4 has the learned state of version 1');
    expect(back.stdout).toContain('served now: adapter');
    expect((await compare(deployment)).exportedDiffersBy).toBeLessThan(1e-6);
    const other = await run('rollback', 'ada', '--to', '3', '--json');
    expect(JSON.parse(other.stdout)).toEqual({ version: 5, learnedAs: 3, served: 'warm-start' });
    expect(other.stderr).toContain('version 3 was learned under other settings or another basis');
  });
});
