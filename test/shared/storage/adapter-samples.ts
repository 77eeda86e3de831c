import type { StoredAdapter } from '../../../shared/adapters/adapter-object.ts';
import type { LoraAdapter } from '../../../shared/lora/forward.ts';
import type { PrequentialRecord } from '../../../shared/lora/prequential.ts';
import { createRandom } from '../../../shared/lora/random.ts';

const random = createRandom('format samples');
const [d, r, size] = [16, 2, 4];
const floats = (length: number) => Float32Array.from({ length }, () => random.normal());
const doubles = (length: number) => Float64Array.from({ length }, () => random.normal());
const halves = (length: number) => Float16Array.from({ length }, () => random.normal());

const record: PrequentialRecord = {
  count: 7,
  adapterLoss: 0.1,
  userMeanLoss: 0.2,
  warmStartLoss: 0.15,
  adapterUserMeanSquares: 0.01,
  adapterWarmStartSquares: 0.02,
  warmStartUserMeanSquares: 0.03,
};

const common = {
  userKey: 'ab'.repeat(32),
  version: 3,
  createdAt: 1_700_000_000_000,
  updatedAt: 1_700_000_001_000,
  embeddingModel: 'model-é',
  embeddingDim: d,
  rank: r,
  scale: 0.35,
  skillsVersion: 2,
  recentEvents: BigUint64Array.of(1n, 2n ** 64n - 1n),
};

const lastEpisode: StoredAdapter['lastEpisode'] = {
  userKey: common.userKey,
  version: 3,
  cell: 'bayesian-r2-d16',
  committedAt: 1_700_000_001_000,
  context: { events: 1, interactions: 2, samplesSeen: 5, skillsVersion: 2 },
  outcome: { rewards: 2, meanReward: 0.5, loss: 0.1, lossWithoutAdapter: 0.2, lossOfWarmStart: 0.15 },
  residuals: [{ itemKey: 9n, residual: Math.fround(0.1) }],
};

const a = floats(r * d);
const b = floats(d * r);

/**
 * Adapters in version 1 of the format, by the name of the file in `written`. Their numbers have no
 * meaning.
 */
export const VERSION_1: Readonly<Record<string, StoredAdapter>> = {
  'adapter-v1-bayesian': {
    ...common,
    state: {
      learner: 'bayesian',
      basisId: '0123456789abcdef',
      statistics: {
        gram: doubles((size * (size + 1)) / 2),
        moment: doubles(size),
        sumSquares: 1.25,
        count: 7,
        rewardSum: 3.5,
      },
      picks: null,
      targets: { szz: doubles(3), stz: doubles(d * r), count: 2 },
      buffered: [],
      record,
    },
    a,
    weights: { b, offset: -0.125 },
    lastEpisode,
  },
  'adapter-v1-waiting': {
    ...common,
    state: {
      learner: 'bayesian',
      basisId: null,
      statistics: { gram: doubles(1), moment: doubles(1), sumSquares: 0.5, count: 1, rewardSum: 0.75 },
      picks: null,
      targets: null,
      buffered: [
        { embedding: halves(d), residualReward: 0.25, reward: 0.75 },
        { embedding: halves(d), target: halves(d) },
      ],
      record: { ...record, count: 1 },
    },
    a: new Float32Array(0),
    weights: { b: new Float32Array(0), offset: 0.0625 },
    lastEpisode: null,
  },
  'adapter-v1-sgd': {
    ...common,
    state: {
      learner: 'sgd',
      embeddingDim: d,
      rank: r,
      scale: common.scale,
      a: { values: a, anchor: floats(r * d), fisher: floats(r * d) },
      b: { values: b, anchor: floats(d * r), fisher: floats(d * r) },
      steps: 21,
      count: 40,
      rewardSum: 22.5,
      record,
    },
    a,
    weights: { b, offset: 0.03125 },
    lastEpisode: null,
    annotations: { engine: '{"written":"by hand"}' },
  },
};

/** The adapter in `written/peft`. */
export const PEFT_SAMPLE: LoraAdapter = { basis: { embeddingDim: d, rank: r, scale: 0.5, a }, b, offset: 0 };
