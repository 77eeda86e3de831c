import * as z from 'zod';
import {
  type Episode,
  packAttributions,
  packCorrections,
  packResiduals,
  unpackAttributions,
  unpackCorrections,
  unpackResiduals,
} from '../episodes/episode.ts';
import { CorruptObjectError } from '../errors.ts';
import type { LoraAdapter, LoraWeights } from '../lora/forward.ts';
import type { LearnerState } from '../lora/learner.ts';
import type { NamedTensor, TensorFile } from '../storage/safetensors.ts';
import {
  decodeDocument,
  encodeDocument,
  readHalves,
  stackHalves,
  TensorReader,
} from '../storage/tensor-document.ts';
import { decodeState, encodeState, stateContent } from './learner-state.ts';
import type { RecentInteraction } from './recent-interactions.ts';
import { NO_RECENT_ITEMS, type RecentItems, recentItemsOf } from './recent-items.ts';

/**
 * A user's adapter as stored in S3: weights to serve, the state to continue learning from, and the
 * data that makes commits exactly-once.
 */
export interface StoredAdapter {
  /** SHA-256 of the user id, hex. */
  readonly userKey: string;
  /** Number of commits; the first is 1. */
  readonly version: number;
  /** Epoch milliseconds. */
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly embeddingModel: string;
  readonly embeddingDim: number;
  readonly rank: number;
  /** s = scalingFactor / rank. */
  readonly scale: number;
  readonly state: LearnerState;
  /** A, r×d. For the learner 'bayesian' the A of the basis, empty without one. */
  readonly a: Float32Array;
  /** B and offset, solved under the population model of version `skillsVersion`. */
  readonly weights: LoraWeights;
  readonly skillsVersion: number;
  /** Hashes of the event ids applied last, oldest first; see recent-events.ts. */
  readonly recentEvents: BigUint64Array;
  /**
   * The items of the last interactions; absent when none is known, for example in objects of
   * earlier versions.
   */
  readonly recentItems?: RecentItems;
  /** The last interactions with an id, oldest first; absent when there is none. */
  readonly recentInteractions?: readonly RecentInteraction[];
  /**
   * The episode of the newest update. After a rollback the adapter's version is higher. Null for
   * adapters made by hand.
   */
  readonly lastEpisode: Episode | null;
  /** Other data of the writer. */
  readonly annotations?: Readonly<Record<string, string>>;
}

const FORMAT = 'attune-adapter';
const FORMAT_VERSION = 1;
const RECENT_ITEMS = 'recent_items';
const RECENT_INTERACTIONS = 'recent_interactions';
const LAST_CORRECTIONS = 'last_episode.corrections';
const LAST_EMBEDDINGS = 'last_episode.embeddings';
const LAST_ATTRIBUTIONS = 'last_episode.attributions';

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
  state: stateContent,
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
        taste: z.strictObject({ lossWithout: real, meanSquare: real }).optional(),
      }),
      hyperparameters: z.record(z.string(), real).optional(),
      heldOut: z.literal(true).optional(),
    })
    .nullable(),
  annotations: z.record(z.string(), z.string()).optional(),
});

/** Encodes deterministically: equal adapters have equal bytes. */
export function encodeAdapter(adapter: StoredAdapter): Uint8Array {
  const { state, weights, lastEpisode, embeddingDim: d, rank: r } = adapter;
  const { tensors, content: stateDocument } = encodeState(state, adapter);
  tensors.recent_events = { shape: [adapter.recentEvents.length], values: adapter.recentEvents };
  // Earlier versions ignore tensors that they do not know.
  const { keys, lastAt, kinds, sums } = adapter.recentItems ?? NO_RECENT_ITEMS;
  if (keys.length > 0) {
    tensors[RECENT_ITEMS] = { shape: [keys.length], values: keys };
    tensors[`${RECENT_ITEMS}.last_at`] = { shape: [keys.length], values: lastAt };
    tensors[`${RECENT_ITEMS}.kinds`] = { shape: [keys.length], values: kinds };
    tensors[`${RECENT_ITEMS}.sums`] = { shape: [keys.length, 3], values: sums };
  }
  const interactions = adapter.recentInteractions ?? [];
  if (interactions.length > 0) Object.assign(tensors, interactionTensors(interactions));
  if (weights.b.length > 0) {
    tensors.lora_A = { shape: [r, d], values: adapter.a };
    tensors.lora_B = { shape: [d, r], values: weights.b };
  }
  if (lastEpisode !== null && lastEpisode.residuals.length > 0) {
    const bytes = packResiduals(lastEpisode.residuals);
    tensors['last_episode.residuals'] = { shape: [bytes.length], values: bytes };
  }
  if (lastEpisode?.corrections !== undefined) {
    const bytes = packCorrections(lastEpisode.corrections);
    tensors[LAST_CORRECTIONS] = { shape: [bytes.length], values: bytes };
  }
  if (lastEpisode?.attributions !== undefined) {
    const bytes = new Uint8Array(Buffer.from(packAttributions(lastEpisode.attributions), 'utf8'));
    tensors[LAST_ATTRIBUTIONS] = { shape: [bytes.length], values: bytes };
  }
  const embeddings = lastEpisode?.embeddings;
  if (embeddings !== undefined) tensors[LAST_EMBEDDINGS] = stackHalves(embeddings);
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
    state: stateDocument,
    lastEpisode:
      lastEpisode === null
        ? null
        : {
            version: lastEpisode.version,
            cell: lastEpisode.cell,
            committedAt: lastEpisode.committedAt,
            context: lastEpisode.context,
            outcome: lastEpisode.outcome,
            hyperparameters: lastEpisode.hyperparameters,
            heldOut: lastEpisode.heldOut,
          },
    ...(adapter.annotations === undefined ? {} : { annotations: adapter.annotations }),
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
  const state = decodeState(c.state, reader, c, key);
  const hasMatrices = state.learner === 'sgd' || state.basisId !== null;
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
    a: hasMatrices ? reader.read('lora_A', Float32Array, [r, d]) : new Float32Array(0),
    weights: {
      b: hasMatrices ? reader.read('lora_B', Float32Array, [d, r]) : new Float32Array(0),
      offset: c.offset,
    },
    skillsVersion: c.skillsVersion,
    recentEvents: reader.read('recent_events', BigUint64Array, [reader.rows('recent_events')]),
    ...(reader.has(RECENT_ITEMS) ? { recentItems: readRecentItems(reader) } : {}),
    ...(reader.has(RECENT_INTERACTIONS) ? { recentInteractions: readInteractions(reader) } : {}),
    lastEpisode:
      c.lastEpisode === null
        ? null
        : {
            ...c.lastEpisode,
            userKey: c.userKey,
            residuals: readResiduals(reader, key),
            ...(reader.has(LAST_CORRECTIONS) ? { corrections: readCorrections(reader, key) } : {}),
            ...(reader.has(LAST_ATTRIBUTIONS) ? { attributions: readAttributions(reader, key) } : {}),
            ...(reader.has(LAST_EMBEDDINGS) ? { embeddings: readHalves(reader, LAST_EMBEDDINGS) } : {}),
          },
    ...(c.annotations === undefined ? {} : { annotations: c.annotations }),
  };
}

/** The adapter, ready to apply. */
export function loraOf({ embeddingDim, rank, scale, a, weights }: StoredAdapter): LoraAdapter {
  const { b, offset } = weights;
  return { basis: a.length === 0 ? null : { embeddingDim, rank, scale, a }, b, offset };
}

function readRecentItems(reader: TensorReader): RecentItems {
  const count = reader.rows(RECENT_ITEMS);
  const keys = reader.read(RECENT_ITEMS, BigUint64Array, [count]);
  // Objects of earlier versions have only the keys.
  if (!reader.has(`${RECENT_ITEMS}.sums`)) return recentItemsOf(keys);
  return {
    keys,
    lastAt: reader.read(`${RECENT_ITEMS}.last_at`, Uint32Array, [count]),
    kinds: reader.read(`${RECENT_ITEMS}.kinds`, Uint8Array, [count]),
    sums: reader.read(`${RECENT_ITEMS}.sums`, Float32Array, [count, 3]),
  };
}

/**
 * Numbers of an interaction. Without a choice model its percentile is −1. The last number is 1 when
 * the interaction has a residual.
 */
const INTERACTION_NUMBERS = 10;

function interactionTensors(interactions: readonly RecentInteraction[]): Record<string, NamedTensor> {
  return {
    [RECENT_INTERACTIONS]: {
      shape: [interactions.length],
      values: BigUint64Array.from(interactions, ({ key }) => key),
    },
    [`${RECENT_INTERACTIONS}.learned`]: {
      shape: [interactions.length, INTERACTION_NUMBERS],
      values: Float64Array.from(
        interactions.flatMap(({ ranked, residual, ...learned }) => [
          learned.at,
          learned.reward,
          learned.known,
          learned.predicted,
          learned.predictedByUserMean,
          learned.predictedByWarmStart,
          ranked?.percentile ?? -1,
          ranked?.least ?? 0,
          residual ?? 0,
          residual === null ? 0 : 1,
        ]),
      ),
    },
  };
}

function readInteractions(reader: TensorReader): RecentInteraction[] {
  const count = reader.rows(RECENT_INTERACTIONS);
  const keys = reader.read(RECENT_INTERACTIONS, BigUint64Array, [count]);
  const shape = [count, INTERACTION_NUMBERS];
  const numbers = reader.read(`${RECENT_INTERACTIONS}.learned`, Float64Array, shape);
  return Array.from(keys, (key, i) => {
    const [at, reward, known, predicted, byUserMean, byWarmStart, percentile, least, residual, hasResidual] =
      numbers.subarray(i * INTERACTION_NUMBERS) as unknown as Row;
    return {
      key,
      at,
      reward,
      known,
      predicted,
      predictedByUserMean: byUserMean,
      predictedByWarmStart: byWarmStart,
      ranked: percentile < 0 ? null : { percentile, least },
      residual: hasResidual === 0 ? null : residual,
    };
  });
}

type Row = [number, number, number, number, number, number, number, number, number, number];

function readCorrections(reader: TensorReader, key: string): Episode['corrections'] {
  try {
    return unpackCorrections(reader.read(LAST_CORRECTIONS, Uint8Array, [reader.rows(LAST_CORRECTIONS)]));
  } catch (cause) {
    if (cause instanceof CorruptObjectError) throw cause;
    const message = `${LAST_CORRECTIONS}: found a truncated tensor, expected whole corrections`;
    throw new CorruptObjectError(key, message, { cause });
  }
}

function readAttributions(reader: TensorReader, key: string): Episode['attributions'] {
  const bytes = reader.read(LAST_ATTRIBUTIONS, Uint8Array, [reader.rows(LAST_ATTRIBUTIONS)]);
  try {
    return unpackAttributions(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new CorruptObjectError(key, `${LAST_ATTRIBUTIONS}: found unreadable text, expected attributions`, {
      cause,
    });
  }
}

function readResiduals(reader: TensorReader, key: string): Episode['residuals'] {
  const length = reader.rows('last_episode.residuals');
  if (length === 0) return [];
  try {
    return unpackResiduals(reader.read('last_episode.residuals', Uint8Array, [length]));
  } catch (cause) {
    if (cause instanceof CorruptObjectError) throw cause;
    throw new CorruptObjectError(
      key,
      'last_episode.residuals: found a truncated tensor, expected whole residuals',
      { cause },
    );
  }
}
