import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readJsonLines } from '../../cli/json-lines.ts';
import { loadRatings } from '../../cli/replay/datasets/ratings.ts';
import { stackOutput } from '../../cli/stack-outputs.ts';
import { bodyOf, failure, isHttp } from '../../functions/personalize/http.ts';
import { applyEvents } from '../../functions/update-adapters/apply-events.ts';
import { processBatch } from '../../functions/update-adapters/process-batch.ts';
import { readAssembly } from '../../infra/local/assembly.ts';
import { encodeAdapter } from '../../shared/adapters/adapter-object.ts';
import { decodePlace } from '../../shared/adapters/adapter-store.ts';
import { importPeft } from '../../shared/adapters/peft.ts';
import { encodeTombstone } from '../../shared/adapters/tombstone.ts';
import { parseItem } from '../../shared/catalogue/item.ts';
import { decodeManifest, encodeManifest } from '../../shared/catalogue/manifest.ts';
import { attributesOf, decodeEmbeddings, decodeShard, encodeShard } from '../../shared/catalogue/shard.ts';
import { OUTPUT } from '../../shared/config/names.ts';
import { userKey } from '../../shared/config/user-key.ts';
import { asksCatalogue, parseCatalogueRequest } from '../../shared/contract/catalogue-request.ts';
import { parsePersonalizeRequest } from '../../shared/contract/personalize-request.ts';
import { AttuneError } from '../../shared/errors.ts';
import { encodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { parseFeedbackEvent } from '../../shared/feedback/event.ts';
import { carryOversTo } from '../../shared/lora/carry-over.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { decodeBasis, encodeBasis } from '../../shared/population/basis-object.ts';
import { decodeBasisSample, encodeBasisSample } from '../../shared/population/basis-sample-object.ts';
import {
  decodePopulationModel,
  encodePopulationModel,
} from '../../shared/population/population-model-object.ts';
import { decodeTensors, encodeTensors, readTensors } from '../../shared/storage/safetensors.ts';
import { createWorkload, poisonOfEveryKind } from '../chaos/workload.ts';
import { Container, createWorld, SETTINGS } from '../support/container.ts';
import { decode, frame, importConfiguration, inEnvelopes, openEnvelopes, PEFT } from './reading-targets.ts';

/** A reader of bytes from outside. */
export interface Target {
  /** How many of a thousand cases it gets. */
  readonly share: number;
  /** Valid input, to start from. */
  readonly seeds: readonly Uint8Array[];
  /**
   * Accepts the bytes, or refuses them with an `AttuneError`.
   * @throws any other error when that is a defect
   */
  run(bytes: Uint8Array): void | Promise<void>;
}

/** A refusal is an error of Attune's own; every other error is a defect. */
async function refusing(work: () => unknown): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof AttuneError)) throw error;
    if (error.message.length > 2_000) throw new Error(`a message of ${error.message.length} characters`);
  }
}

const workload = createWorkload({ seed: 'fuzz', events: 6, users: 1, ...SETTINGS });
const { learning } = createWorld(workload.items);
const valid = workload.messages.filter(({ fate }) => fate === 'applied').map(({ body }) => body);
const events = valid.map((body) => parseFeedbackEvent(body, SETTINGS));
const { adapter } = applyEvents(undefined, events, learning, {
  userKey: userKey('u'),
  settings: SETTINGS,
  now: 1_000,
});
const candidates = workload.items
  .slice(0, 3)
  .map((item, i) => ({ itemId: `item ${i}`, embedding: encodeEmbedding(item) }));
const request = { userId: 'ada', candidates, answer: 'scores', explain: true, embeddingModel: 'test-model' };
const filter = {
  all: [
    { attribute: 'a', in: ['b', 1] },
    {
      not: {
        any: [
          { attribute: 'c', gte: 1 },
          { attribute: 'd', exists: true },
        ],
      },
    },
  ],
};
/** Names that every object inherits, and values that are patterns elsewhere. */
const hostileFilter = {
  any: [
    { attribute: '__proto__', exists: true },
    { attribute: 'constructor', in: ['(a+)+$', true, 1e308] },
    { not: { attribute: 'toString', gte: -1e308, lt: 1e308 } },
  ],
};
const nested = (levels: number): object =>
  levels === 0 ? { attribute: 'a', exists: true } : { not: nested(levels - 1) };
const shard = encodeShard(
  [
    parseItem(
      { itemId: 'a', embedding: [...workload.items[0]!], attributes: { b: ['c'] } },
      SETTINGS.embeddingDim,
      'item',
    ),
  ],
  SETTINGS.embeddingDim,
);
const manifest = {
  version: 1,
  embeddingModel: SETTINGS.embeddingModel,
  embeddingDim: SETTINGS.embeddingDim,
  buckets: 1,
  shards: [{ bucket: 0, name: shard.name, items: 1, bytes: 1 }],
  updatedAt: 0,
};
const adapterFile = decodeTensors(encodeAdapter(adapter!), 'seed');
const json = (value: unknown) => Buffer.from(JSON.stringify(value));

/**
 * One message between two valid ones of its user: it is applied or in quarantine, and they are
 * applied.
 */
async function handle(bytes: Uint8Array): Promise<void> {
  const body = Buffer.from(bytes).toString('utf8');
  const world = createWorld(workload.items);
  const container = new Container(world);
  const groupId = workload.messages[0]!.groupId;
  const [first, , last] = valid;
  const batch = [first!, body, last!].map((text, i) => ({
    messageId: `m${i}`,
    groupId,
    sentAt: 0,
    body: text,
  }));
  const report = await processBatch(batch, { ...container.services, signal: container.time.signal });
  if (report.failed.length > 0) throw container.failures[0];
  const handled = report.applied.length + report.duplicates + report.quarantined.length;
  if (handled !== 3 || report.applied.length < 2) throw new Error(`handled ${JSON.stringify(report)}`);
  const [quarantined] = world.objects.documents<{ body: string }>('quarantine/');
  if (quarantined !== undefined && quarantined.body !== body) throw new Error('the body was changed');
}

function personalize(bytes: Uint8Array): Promise<void> {
  const body = Buffer.from(bytes).toString('utf8');
  const http = { requestContext: { http: { method: 'POST' } }, body, isBase64Encoded: false };
  return refusing(() => {
    if (!isHttp(http)) throw new Error('not HTTP');
    try {
      const payload = bodyOf(http);
      return asksCatalogue(payload)
        ? parseCatalogueRequest(payload, SETTINGS)
        : parsePersonalizeRequest(payload, SETTINGS);
    } catch (error) {
      const { statusCode } = failure(error);
      if (statusCode !== 400) throw new Error(`status ${statusCode} for ${error}`);
      throw error;
    }
  });
}

const folder = mkdtempSync(join(tmpdir(), 'attune-fuzz-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

/** @param name of the file that the reader gets */
function file(name: string, read: (path: string) => unknown): Target['run'] {
  return (bytes) => {
    writeFileSync(join(folder, name), bytes);
    return refusing(() => read(join(folder, name)));
  };
}

const csv = {
  'movies.csv':
    'movieId,title,genres\n1,"Toy, Story (1995)",Adventure|Comedy\n2,Heat (1995),(no genres listed)\n',
  'ratings.csv': 'userId,movieId,rating,timestamp\n1,1,4.0,964982703\n2,2,0.5,964981247\n',
};
for (const [name, content] of Object.entries(csv)) writeFileSync(join(folder, name), content);

function csvFile(name: keyof typeof csv): Target['run'] {
  return async (bytes) => {
    await file(name, () => loadRatings(folder))(bytes);
    writeFileSync(join(folder, name), csv[name]);
  };
}

export const TARGETS: Readonly<Record<string, Target>> = {
  handler: {
    share: 240,
    seeds: [
      ...valid,
      ...poisonOfEveryKind('user 0 of seed fuzz', { seed: 1, events: 1, ...SETTINGS }).map(
        ({ body }) => body,
      ),
    ].map((body) => Buffer.from(body)),
    run: handle,
  },
  personalize: {
    share: 200,
    seeds: [
      json(request),
      json({ userId: 'u', candidates: [{ embedding: [...workload.items[0]!] }] }),
      json({
        action: 'recommend',
        userId: 'u',
        filter,
        exclude: ['a'],
        maxPerValue: { attribute: 'a', count: 1 },
      }),
      json({ action: 'similar', itemId: 'i', diversity: 0.5 }),
      json({ action: 'recommend', userId: 'u', filter: hostileFilter, explore: true, explain: true }),
      json({ action: 'recommend', userId: 'u', filter: nested(9), interactedBy: ['watch'] }),
      json({
        action: 'search',
        userId: 'u',
        query: [...workload.items[0]!],
        filter: { attribute: 'a', in: Array(1_001).fill('(a+)+$') },
      }),
    ],
    run: personalize,
  },
  'adapter object': {
    share: 150,
    seeds: [
      encodeAdapter(adapter!),
      encodeTombstone({ userKey: userKey('u'), forgottenAt: 1, expiresAt: 2 }),
    ],
    run: (bytes) => refusing(() => decodePlace(bytes, '"etag"', 'adapters/u')),
  },
  // With a checksum that is right.
  'adapter content': {
    share: 50,
    seeds: [Buffer.from(adapterFile.metadata.attune!)],
    run: (bytes) => {
      const attune = Buffer.from(bytes).toString('utf8');
      const file = encodeTensors({ ...adapterFile, metadata: { ...adapterFile.metadata, attune } });
      return refusing(() => decodePlace(file, '"etag"', 'adapters/u'));
    },
  },
  'shared objects': {
    share: 50,
    seeds: [
      encodeBasis({
        basis: learning.basis!,
        embeddingModel: 'm',
        learnedFrom: workload.items.length,
        carryOvers: carryOversTo(learning.basis!, { basis: learning.basis! }, workload.items),
      }),
      encodeBasisSample({ embeddings: [Float16Array.of(1, 0)], watermarks: [''] }),
      encodePopulationModel({ ...learning.population, version: 1 }),
      shard.itemBytes,
      shard.embeddingBytes,
      encodeManifest(manifest),
    ],
    run: (bytes) =>
      refusing(() => decodeBasis(bytes, 'basis/b'))
        .then(() => refusing(() => decodeBasisSample(bytes, 'consolidation/b.sample')))
        .then(() => refusing(() => decodePopulationModel(bytes, 'skills/s')))
        .then(() => refusing(() => decodeManifest(bytes, 'catalogue/manifest')))
        .then(() => refusing(() => attributesOf(decodeShard(bytes, 'shard', 'catalogue/shards/s'), 's')))
        .then(() => refusing(() => decodeEmbeddings(bytes, SETTINGS.embeddingDim, 'catalogue/shards/s'))),
  },
  // Without a checksum in the way.
  safetensors: {
    share: 140,
    seeds: [
      encodeTensors({
        tensors: {
          a: { shape: [2, 2], values: Float32Array.of(1, 2, 3, 4) },
          b: { shape: [3], values: Uint8Array.of(1, 2, 3) },
        },
        metadata: { format: 'pt' },
      }),
    ],
    run: (bytes) => refusing(() => readTensors(bytes, 'file')),
  },
  'json lines': {
    share: 20,
    seeds: [Buffer.from(`\ufeff${JSON.stringify({ userId: 'u' })}\r\n\n[1]\n{"a":`)],
    run: file('lines.jsonl', async (path) => {
      for await (const line of readJsonLines(path, AbortSignal.timeout(60_000))) void line;
    }),
  },
  'record framing': {
    share: 30,
    seeds: ['a\u2028b\r\n\rc\r\r\n\n\u0085\u2029', '{"userId":"😀"}\r\n{}'].map((text) => Buffer.from(text)),
    run: frame,
  },
  encodings: {
    share: 30,
    seeds: [
      Buffer.from('Jän', 'latin1'),
      Buffer.from('Jän 😀 \ufffd'),
      Buffer.from('eda080f09f98f4908080c0af', 'hex'),
    ],
    run: (bytes) =>
      decode(bytes, (content) => {
        writeFileSync(join(folder, 'ids.jsonl'), content);
        return join(folder, 'ids.jsonl');
      }),
  },
  'peft configuration': {
    share: 30,
    seeds: [
      Buffer.from(PEFT['adapter_config.json']),
      json({
        peft_type: 'LORA',
        r: 2,
        lora_alpha: 4,
        use_rslora: true,
        alpha_pattern: { '^embed.*': 4 },
        rank_pattern: { x: 1 },
        use_dora: false,
        init_lora_weights: 'gaussian',
        lora_bias: false,
        layer_replication: null,
      }),
    ],
    run: (bytes) => refusing(() => importConfiguration(bytes)),
  },
  'peft model': {
    share: 20,
    seeds: [PEFT['adapter_model.safetensors']],
    run: (bytes) => refusing(() => importPeft({ ...PEFT, 'adapter_model.safetensors': bytes })),
  },
  envelopes: {
    share: 20,
    seeds: [...valid, ...inEnvelopes(valid[0]!)].map((body) => Buffer.from(body)),
    run: openEnvelopes,
  },
  'stack outputs': {
    share: 10,
    seeds: [json({ Attune: { [OUTPUT.bucketName]: 'bucket' } })],
    run: file('outputs.json', (path) => stackOutput(path, OUTPUT.bucketName)),
  },
  assembly: {
    share: 10,
    seeds: [json({ artifacts: { A: { type: 'aws:cloudformation:stack', properties: { stackName: 'A' } } } })],
    run: file('manifest.json', () => readAssembly(folder)),
  },
  'movies.csv': { share: 10, seeds: [Buffer.from(csv['movies.csv'])], run: csvFile('movies.csv') },
  'ratings.csv': { share: 10, seeds: [Buffer.from(csv['ratings.csv'])], run: csvFile('ratings.csv') },
};

/** A stream of cases for a target; the same seed gives the same cases. */
export function randomOf(target: string, seed: number) {
  return createRandom(`fuzz ${target} ${seed}`);
}
