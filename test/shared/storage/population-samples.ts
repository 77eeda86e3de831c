import type { Episode } from '../../../shared/episodes/episode.ts';
import { createBasis } from '../../../shared/lora/basis.ts';
import { preparePrior } from '../../../shared/lora/prior.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { NO_RECENT_PICKS } from '../../../shared/lora/recent-picks.ts';
import { packedDiagonal } from '../../../shared/lora/symmetric.ts';
import type { StoredBasis } from '../../../shared/population/basis-object.ts';
import type { BasisSample } from '../../../shared/population/basis-sample-object.ts';
import type { PopulationModel } from '../../../shared/population/population-model.ts';

const random = createRandom('shared format samples');
const [d, r, p] = [16, 2, 3];
const floats = (length: number) => Float32Array.from({ length }, () => random.normal());
const doubles = (length: number) => Float64Array.from({ length }, () => random.normal());
const halves = (length: number) => Float16Array.from({ length }, () => random.normal());
const rows = (count: number, length: number) => Array.from({ length: count }, () => doubles(length));

const basis = createBasis({
  embeddingDim: d,
  rank: r,
  scale: 0.35,
  a: floats(r * d),
  projection: floats(d * r * p),
});

/** A basis in `written/basis-v1.safetensors`. The numbers in this file have no meaning. */
export const BASIS_VERSION_1: StoredBasis = {
  basis,
  embeddingModel: 'model-é',
  learnedFrom: 600,
  carryOvers: [
    { fromBasisId: '0123456789abcdef', loss: 0.25, featureMap: rows(p + 1, p + 1), latentMap: rows(r, r) },
  ],
};

/** The population model in `written/skills-v1.safetensors`. */
export const POPULATION_VERSION_1: PopulationModel = {
  version: 3,
  prior: preparePrior({
    basisId: basis.id,
    mean: doubles(p + 1),
    covariance: packedDiagonal(Float64Array.of(0.5, 0.25, 0.125, 0.02)),
    noiseVariance: 0.0625,
    meanReward: 0.625,
  }),
  choice: null,
  priorVersion: 2,
  items: {
    sums: new Map([
      [1n, { sum: -0.5, count: 3 }],
      [2n ** 64n - 1n, { sum: 1.25, count: 7 }],
    ]),
    shrinkage: 12.5,
    squares: 4.75,
  },
  recent: NO_RECENT_PICKS,
  progress: {
    watermarks: ['', '0001700000000000#ab'],
    episodes: 40,
    fittedEpisodes: 32,
    at: 1_700_000_002_000,
  },
  recommended: { learningRate: 0.5, insteadOf: 0.1 },
  evidence: {
    users: 20,
    interactions: 200,
    validationUsers: 4,
    logLikelihoodBefore: -0.5,
    logLikelihoodAfter: -0.25,
    gainInterval: { low: 0.125, high: 0.375 },
    shortfall: 0.0625,
  },
};

/** The sample in `written/basis-sample-v1.safetensors`. */
export const BASIS_SAMPLE_VERSION_1: BasisSample = {
  embeddings: [halves(d), halves(d)],
  watermarks: ['', '0001700000000000#ab'],
};

/** The episode in `written/pending-v1.json` and `written/episode-v1.json`. */
export const EPISODE_VERSION_1: Episode = {
  userKey: 'cd'.repeat(32),
  version: 12,
  cell: 'sgd-r2-d16',
  committedAt: 1_700_000_001_000,
  context: { events: 2, interactions: 5, samplesSeen: 21, skillsVersion: 3 },
  outcome: {
    rewards: 5,
    meanReward: 0.625,
    loss: 0.125,
    lossWithoutAdapter: 0.25,
    lossOfWarmStart: 0.1875,
    taste: { lossWithout: 0.375, meanSquare: 0.0625 },
  },
  residuals: [
    { itemKey: 9n, residual: Math.fround(0.1) },
    { itemKey: 2n ** 63n, residual: Math.fround(-0.7) },
  ],
  embeddings: [halves(d)],
  hyperparameters: { learningRate: 0.3 },
  heldOut: true,
};
