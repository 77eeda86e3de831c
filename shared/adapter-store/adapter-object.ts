import * as z from 'zod';
import { CorruptObjectError } from '../errors.ts';
import type { BayesianState, LoraWeights, WaitingInteraction } from '../lora/bayesian.ts';
import { packedLength } from '../lora/symmetric.ts';
import { type Episode, packResiduals, unpackResiduals } from '../reasoning-bank/episode.ts';
import type { NamedTensor, TensorFile } from './safetensors.ts';
import { decodeDocument, encodeDocument, TensorReader } from './tensor-document.ts';

/** A user's adapter as it stands in S3: weights to serve, the state to learn on from, and what makes commits exactly-once. */
export interface StoredAdapter {
  /** SHA-256 of the user id, hex. */
  readonly userKey: string;
  /** Commits so far; the first is 1. */
  readonly version: number;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly embeddingModel: string;
  readonly embeddingDim: number;
  readonly rank: number;
  /** s = scalingFactor / rank. */
  readonly scale: number;
  readonly state: BayesianState;
  /** A, r×d, as in the basis; empty before there is a basis. */
  readonly a: Float32Array;
  /** B and offset, solved under the skills of `skillsVersion`. */
  readonly weights: LoraWeights;
  readonly skillsVersion: number;
  /** Hashes of the event ids applied last, oldest first; see {@link RecentEvents}. */
  readonly recentEvents: BigUint64Array;
  /** Of the newest update, whose version an adapter that was rolled back has passed; null for adapters made by hand. */
  readonly lastEpisode: Episode | null;
}

const FORMAT = 'attune-adapter';
const FORMAT_VERSION = 1;

const count = z.int().min(0);
const real = z.number();
const content = z.strictObject({
  userKey: z.string().regex(/^[0-9a-f]{64}$/),
  version: z.int().min(1),
  createdAt: count,
  updatedAt: count,
  embeddingModel: z.string(),
  embeddingDim: z.int().min(1).max(4096),
  rank: z.int().min(1).max(64),
  scale: z.number().positive(),
  offset: real,
  skillsVersion: count,
  learner: z.literal('bayesian'),
  basisId: z.string().nullable(),
  statistics: z.strictObject({ sumSquares: real, count, rewardSum: real }),
  targets: z.strictObject({ count }).nullable(),
  record: z.strictObject({
    count,
    adapterLoss: real,
    userMeanLoss: real,
    warmStartLoss: real,
    adapterUserMeanSquares: real,
    adapterWarmStartSquares: real,
    warmStartUserMeanSquares: real,
  }),
  waiting: z.array(
    z.union([
      z.strictObject({ residualReward: real, reward: real }),
      z.strictObject({ target: z.literal(true) }),
    ]),
  ),
  lastEpisode: z
    .strictObject({
      version: z.int().min(1),
      cell: z.string(),
      committedAt: count,
      context: z.strictObject({
        events: count,
        interactions: count,
        samplesSeen: count,
        skillsVersion: count,
      }),
      outcome: z.strictObject({
        rewards: count,
        meanReward: real,
        loss: real,
        lossWithoutAdapter: real,
        lossOfWarmStart: real,
      }),
    })
    .nullable(),
});

/** Encodes deterministically: equal adapters have equal bytes. */
export function encodeAdapter(adapter: StoredAdapter): Uint8Array {
  const { state, weights, lastEpisode, embeddingDim: d, rank: r } = adapter;
  const { statistics, targets, record, waiting } = state;
  const { gram, moment, ...sums } = statistics;
  const tensors: Record<string, NamedTensor> = {
    'statistics.gram': { shape: [gram.length], values: gram },
    'statistics.moment': { shape: [moment.length], values: moment },
    recent_events: { shape: [adapter.recentEvents.length], values: adapter.recentEvents },
  };
  if (weights.b.length > 0) {
    tensors.lora_A = { shape: [r, d], values: adapter.a };
    tensors.lora_B = { shape: [d, r], values: weights.b };
  }
  if (targets !== null) {
    tensors['targets.szz'] = { shape: [targets.szz.length], values: targets.szz };
    tensors['targets.stz'] = { shape: [d, r], values: targets.stz };
  }
  if (waiting.length > 0) {
    tensors['waiting.embedding'] = stack(waiting.map(({ embedding }) => embedding));
    const wanted = waiting.flatMap((interaction) => ('target' in interaction ? [interaction.target] : []));
    if (wanted.length > 0) tensors['waiting.target'] = stack(wanted);
  }
  if (lastEpisode !== null && lastEpisode.residuals.length > 0) {
    const bytes = packResiduals(lastEpisode.residuals);
    tensors['last_episode.residuals'] = { shape: [bytes.length], values: bytes };
  }
  const document: z.input<typeof content> = {
    userKey: adapter.userKey,
    version: adapter.version,
    createdAt: adapter.createdAt,
    updatedAt: adapter.updatedAt,
    embeddingModel: adapter.embeddingModel,
    embeddingDim: d,
    rank: r,
    scale: adapter.scale,
    offset: weights.offset,
    skillsVersion: adapter.skillsVersion,
    learner: state.learner,
    basisId: state.basisId,
    statistics: sums,
    targets: targets === null ? null : { count: targets.count },
    record,
    waiting: waiting.map((interaction) =>
      'target' in interaction
        ? { target: true as const }
        : { residualReward: interaction.residualReward, reward: interaction.reward },
    ),
    lastEpisode:
      lastEpisode === null
        ? null
        : {
            version: lastEpisode.version,
            cell: lastEpisode.cell,
            committedAt: lastEpisode.committedAt,
            context: lastEpisode.context,
            outcome: lastEpisode.outcome,
          },
  };
  return encodeDocument(FORMAT, FORMAT_VERSION, { tensors, content: document });
}

/**
 * @param source the bytes, or the file that was decoded from them
 * @param key names the object in errors
 * @throws CorruptObjectError when they are not what {@link encodeAdapter} wrote
 */
export function decodeAdapter(source: Uint8Array | TensorFile, key: string): StoredAdapter {
  const { tensors, content: c } = decodeDocument(source, key, FORMAT, FORMAT_VERSION, content);
  const reader = new TensorReader(tensors, key);
  const { embeddingDim: d, rank: r } = c;
  const size = reader.rows('statistics.moment');
  const hasBasis = c.basisId !== null;
  if (size < 1 || (!hasBasis && size !== 1)) throw new CorruptObjectError(key, `${size} coefficients`);
  const state: BayesianState = {
    learner: c.learner,
    basisId: c.basisId,
    statistics: {
      gram: reader.read('statistics.gram', Float64Array, [packedLength(size)]),
      moment: reader.read('statistics.moment', Float64Array, [size]),
      ...c.statistics,
    },
    targets:
      c.targets === null
        ? null
        : {
            szz: reader.read('targets.szz', Float64Array, [packedLength(r)]),
            stz: reader.read('targets.stz', Float64Array, [d, r]),
            ...c.targets,
          },
    waiting: readWaiting(reader, c.waiting, d),
    record: c.record,
  };
  return {
    userKey: c.userKey,
    version: c.version,
    createdAt: c.createdAt,
    updatedAt: c.updatedAt,
    embeddingModel: c.embeddingModel,
    embeddingDim: d,
    rank: r,
    scale: c.scale,
    state,
    a: hasBasis ? reader.read('lora_A', Float32Array, [r, d]) : new Float32Array(0),
    weights: {
      b: hasBasis ? reader.read('lora_B', Float32Array, [d, r]) : new Float32Array(0),
      offset: c.offset,
    },
    skillsVersion: c.skillsVersion,
    recentEvents: reader.read('recent_events', BigUint64Array, [reader.rows('recent_events')]),
    lastEpisode:
      c.lastEpisode === null
        ? null
        : { ...c.lastEpisode, userKey: c.userKey, residuals: readResiduals(reader, key) },
  };
}

function stack(vectors: readonly Float16Array[]): NamedTensor {
  const width = vectors[0]!.length;
  const values = new Float16Array(vectors.length * width);
  vectors.forEach((vector, i) => {
    values.set(vector, i * width);
  });
  return { shape: [vectors.length, width], values };
}

function readWaiting(
  reader: TensorReader,
  entries: z.output<typeof content>['waiting'],
  d: number,
): WaitingInteraction[] {
  if (entries.length === 0) return [];
  const embeddings = reader.read('waiting.embedding', Float16Array, [entries.length, d]);
  const wanted = entries.filter((entry) => 'target' in entry).length;
  const targets = wanted === 0 ? null : reader.read('waiting.target', Float16Array, [wanted, d]);
  let nextTarget = 0;
  return entries.map((entry, i) => {
    const embedding = embeddings.slice(i * d, (i + 1) * d);
    if (!('target' in entry)) return { embedding, ...entry };
    const at = nextTarget++;
    return { embedding, target: targets!.slice(at * d, (at + 1) * d) };
  });
}

function readResiduals(reader: TensorReader, key: string): Episode['residuals'] {
  const length = reader.rows('last_episode.residuals');
  if (length === 0) return [];
  try {
    return unpackResiduals(reader.read('last_episode.residuals', Uint8Array, [length]));
  } catch (cause) {
    if (cause instanceof CorruptObjectError) throw cause;
    throw new CorruptObjectError(key, 'last_episode.residuals is cut', { cause });
  }
}
