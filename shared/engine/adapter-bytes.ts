import * as z from 'zod';
import { decodeAdapter, encodeAdapter, type StoredAdapter } from '../adapters/adapter-object.ts';
import { userKey } from '../config/user-key.ts';
import { CorruptObjectError } from '../errors.ts';
import { fisherOf, loraOf, sizeBytesOf, stateOf, type UserLoRAAdapter } from './adapter.ts';

/**
 * Fields of the engine's adapter that the store's adapter lacks, kept in the object's annotations.
 */
const annotation = z.strictObject({
  userId: z.string(),
  scalingFactor: z.number().positive(),
  totalSamples: z.int().min(0),
  avgLoss: z.number(),
  learningRate: z.number(),
  lastTrainedAt: z.int(),
  avgInferenceMs: z.number(),
  useEWC: z.boolean(),
});

const NAME = 'engine';
const NO_EVENTS = new BigUint64Array(0);

/** The adapter as an object of the adapter store: a safetensors file with a checksum. */
export function encodeUserAdapter(adapter: UserLoRAAdapter): Uint8Array {
  const { basis, b, offset } = loraOf(adapter);
  const { metadata, stored } = adapter;
  const kept: z.input<typeof annotation> = {
    userId: adapter.userId,
    scalingFactor: adapter.scalingFactor,
    totalSamples: metadata.totalSamples,
    avgLoss: metadata.avgLoss,
    learningRate: metadata.learningRate,
    lastTrainedAt: metadata.lastTrainedAt.getTime(),
    avgInferenceMs: metadata.performance.avgInferenceMs,
    useEWC: adapter.fisherInformation !== undefined,
  };
  return encodeAdapter({
    userKey: stored?.userKey ?? userKey(adapter.userId),
    version: adapter.version,
    createdAt: adapter.createdAt.getTime(),
    updatedAt: adapter.updatedAt.getTime(),
    embeddingModel: stored?.embeddingModel ?? '',
    embeddingDim: adapter.embeddingDim,
    rank: adapter.rank,
    scale: basis.scale,
    state: stateOf(adapter),
    a: basis.a,
    weights: { b, offset },
    skillsVersion: stored?.skillsVersion ?? 0,
    recentEvents: stored?.recentEvents ?? NO_EVENTS,
    lastEpisode: stored?.lastEpisode ?? null,
    annotations: { [NAME]: JSON.stringify(kept) },
  });
}

/**
 * Reads the result of {@link encodeUserAdapter}, or an object of the adapter store, whose user key
 * then replaces the user id.
 * @throws CorruptObjectError
 */
export function decodeUserAdapter(bytes: Uint8Array): UserLoRAAdapter {
  const key = 'adapter';
  const stored = decodeAdapter(bytes, key);
  const { state, a, weights, rank } = stored;
  if (a.length === 0)
    throw new CorruptObjectError(key, 'found an adapter without a basis, expected matrices A and B');
  const kept = readAnnotation(stored, key);
  const matrices = { matrixA: a, matrixB: weights.b };
  return {
    userId: kept?.userId ?? stored.userKey,
    rank,
    ...matrices,
    scalingFactor: kept?.scalingFactor ?? stored.scale * rank,
    embeddingDim: stored.embeddingDim,
    version: stored.version,
    createdAt: new Date(stored.createdAt),
    updatedAt: new Date(stored.updatedAt),
    fisherInformation: state.learner === 'sgd' && kept?.useEWC === true ? fisherOf(state) : undefined,
    metadata: {
      totalSamples: kept?.totalSamples ?? state.record.count,
      avgLoss: kept?.avgLoss ?? 0,
      learningRate: kept?.learningRate ?? 0,
      lastTrainedAt: new Date(kept?.lastTrainedAt ?? stored.updatedAt),
      performance: { avgInferenceMs: kept?.avgInferenceMs ?? 0, sizeBytes: sizeBytesOf(matrices) },
    },
    offset: weights.offset,
    state,
    stored: {
      userKey: stored.userKey,
      embeddingModel: stored.embeddingModel,
      skillsVersion: stored.skillsVersion,
      recentEvents: stored.recentEvents,
      lastEpisode: stored.lastEpisode,
    },
  };
}

function readAnnotation(
  { annotations }: StoredAdapter,
  key: string,
): z.output<typeof annotation> | undefined {
  const text = annotations?.[NAME];
  if (text === undefined) return undefined;
  try {
    return annotation.parse(JSON.parse(text));
  } catch (cause) {
    throw new CorruptObjectError(
      key,
      `annotation ${NAME}: found invalid content, expected what Attune wrote`,
      { cause },
    );
  }
}
