import * as z from 'zod';
import { AttuneError, CorruptObjectError } from '../errors.ts';
import { type PreparedChoice, prepareChoice } from '../lora/choice.ts';
import { preparePrior } from '../lora/prior.ts';
import { packedLength } from '../lora/symmetric.ts';
import type { NamedTensor } from '../storage/safetensors.ts';
import { decodeDocument, encodeDocument, TensorReader } from '../storage/tensor-document.ts';
import { momentsTensors, readMoments } from './feature-moments-tensors.ts';
import type { PopulationModel } from './population-model.ts';
import { readRecentPicks, recentPicksTensors } from './recent-picks-tensors.ts';

const FORMAT = 'attune-skills';
const FORMAT_VERSION = 1;

const count = z.int().min(0);
const content = z.strictObject({
  version: z.int().min(1),
  priorVersion: count,
  basisId: z.string().nullable(),
  noiseVariance: z.number().positive(),
  meanReward: z.number(),
  itemShrinkage: z.number().positive(),
  itemSquares: z.number().min(0),
  progress: z.strictObject({
    watermarks: z.array(z.string()),
    episodes: count,
    fittedEpisodes: count,
    at: count,
  }),
  /** Missing in objects of earlier versions. */
  recommended: z.strictObject({ learningRate: z.number(), insteadOf: z.number() }).nullable().default(null),
  evidence: z
    .strictObject({
      users: count,
      interactions: count,
      validationUsers: count,
      logLikelihoodBefore: z.number(),
      logLikelihoodAfter: z.number(),
      gainInterval: z.strictObject({ low: z.number(), high: z.number() }),
      shortfall: z.number().min(0).default(0),
    })
    .nullable(),
});

export function encodePopulationModel(population: PopulationModel): Uint8Array {
  const { prior, items, choice } = population;
  const keys = [...items.sums.keys()].sort((a, b) => (a < b ? -1 : 1));
  const sums = keys.map((key) => items.sums.get(key)!);
  return encodeDocument(FORMAT, FORMAT_VERSION, {
    tensors: {
      'prior.mean': { shape: [prior.mean.length], values: prior.mean },
      'prior.covariance': { shape: [prior.covariance.length], values: prior.covariance },
      'items.key': { shape: [keys.length], values: BigUint64Array.from(keys) },
      'items.sum': { shape: [keys.length], values: Float64Array.from(sums, ({ sum }) => sum) },
      'items.count': { shape: [keys.length], values: Uint32Array.from(sums, (item) => item.count) },
      ...(choice === null ? {} : choiceTensors(choice)),
      ...recentPicksTensors(population.recent),
    },
    content: {
      version: population.version,
      priorVersion: population.priorVersion,
      basisId: prior.basisId,
      noiseVariance: prior.noiseVariance,
      meanReward: prior.meanReward,
      itemShrinkage: items.shrinkage,
      itemSquares: items.squares,
      progress: { ...population.progress, watermarks: [...population.progress.watermarks] },
      recommended: population.recommended,
      evidence: population.evidence,
    } satisfies z.input<typeof content>,
  });
}

/** @throws CorruptObjectError when the bytes are not what {@link encodePopulationModel} wrote */
export function decodePopulationModel(bytes: Uint8Array, key: string): PopulationModel {
  const { tensors, content: c } = decodeDocument(bytes, key, FORMAT, FORMAT_VERSION, content);
  const reader = new TensorReader(tensors, key);
  const order = reader.rows('prior.mean');
  const items = reader.rows('items.key');
  const keys = reader.read('items.key', BigUint64Array, [items]);
  const sums = reader.read('items.sum', Float64Array, [items]);
  const counts = reader.read('items.count', Uint32Array, [items]);
  try {
    return {
      version: c.version,
      prior: preparePrior({
        basisId: c.basisId,
        mean: reader.read('prior.mean', Float64Array, [order]),
        covariance: reader.read('prior.covariance', Float64Array, [packedLength(order)]),
        noiseVariance: c.noiseVariance,
        meanReward: c.meanReward,
      }),
      choice: readChoice(reader, order - 1),
      priorVersion: c.priorVersion,
      items: {
        sums: new Map(Array.from(keys, (itemKey, i) => [itemKey, { sum: sums[i]!, count: counts[i]! }])),
        shrinkage: c.itemShrinkage,
        squares: c.itemSquares,
      },
      recent: readRecentPicks(reader),
      progress: c.progress,
      recommended: c.recommended,
      evidence: c.evidence,
    };
  } catch (cause) {
    if (cause instanceof AttuneError && cause.code === 'invalid-input') {
      throw new CorruptObjectError(key, cause.message, { cause });
    }
    throw cause;
  }
}

/**
 * The names of its tensors start with this where users only pick items, and where rewards differ.
 */
const CHOICE = { picksOnly: 'choice', rewarded: 'ranking' } as const;

/**
 * Earlier versions ignore tensors that they do not know, and serve from the rewards. They read
 * every `choice` as one of users who only pick items.
 */
function choiceTensors({ prior, moments, tempering, rewards }: PreparedChoice): Record<string, NamedTensor> {
  const { perPick, saturation } = tempering;
  const name = rewards === null ? CHOICE.picksOnly : CHOICE.rewarded;
  return {
    ...momentsTensors(`${name}.prior`, prior),
    ...momentsTensors(`${name}.moments`, moments),
    [`${name}.tempering`]: { shape: [2], values: Float64Array.of(perPick, saturation) },
    ...(rewards === null
      ? {}
      : { [`${name}.rewards`]: { shape: [2], values: Float64Array.of(rewards.mean, rewards.deviation) } }),
  };
}

function readChoice(reader: TensorReader, size: number): PreparedChoice | null {
  const name = reader.has(`${CHOICE.rewarded}.rewards`) ? CHOICE.rewarded : CHOICE.picksOnly;
  const prior = readMoments(reader, `${name}.prior`, size);
  const moments = readMoments(reader, `${name}.moments`, size);
  if (prior === undefined || moments === undefined) return null;
  const [perPick, saturation] = reader.read(`${name}.tempering`, Float64Array, [2]);
  const tempering = { perPick: perPick!, saturation: saturation! };
  if (name === CHOICE.picksOnly) return prepareChoice(prior, moments, tempering);
  const [mean, deviation] = reader.read(`${name}.rewards`, Float64Array, [2]);
  return prepareChoice(prior, moments, tempering, { mean: mean!, deviation: deviation! });
}
