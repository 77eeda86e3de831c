import { PREFIX } from '../config/names.ts';
import type { FunctionSettings } from '../config/settings.ts';
import { cellOf } from '../episodes/episode.ts';
import { CorruptObjectError } from '../errors.ts';
import type { Basis } from '../lora/basis.ts';
import type { ReplacedBasis } from '../lora/carry-over.ts';
import type { Neighbours } from '../lora/neighbours.ts';
import { initialPriorOf } from '../lora/prior.ts';
import type { Model } from '../lora/training.ts';
import type { Objects } from '../storage/objects.ts';
import { SharedObject, type SharedObjectOptions } from '../storage/shared-object.ts';
import { decodeBasis, encodeBasis, type StoredBasis } from './basis-object.ts';
import { type BasisSample, decodeBasisSample, encodeBasisSample } from './basis-sample-object.ts';
import { embeddingsWanted } from './embedding-sample.ts';
import { decodeNeighbours, encodeNeighbours } from './neighbours-object.ts';
import { initialPopulationModel, type PopulationModel } from './population-model.ts';
import { decodePopulationModel, encodePopulationModel } from './population-model-object.ts';

/** What all users of a deployment share: its basis and its population model. */
export interface SharedLearning {
  readonly basis: Basis | null;
  readonly population: PopulationModel;
  readonly model: Model;
  /** Whether episodes carry embeddings, for a better basis. */
  readonly samplesEmbeddings: boolean;
  /** Whether the newest basis in S3 could be read, be it one of other settings. */
  readonly hasBasis: boolean;
}

export interface LearningObjects {
  readonly basis: SharedObject<StoredBasis>;
  readonly population: SharedObject<PopulationModel>;
  /** Lists of items that are picked together. Only readers of scores need them. */
  readonly neighbours: SharedObject<Neighbours>;
  /** The sample that a basis is learned from. Only consolidation reads it. */
  readonly basisSample: SharedObject<BasisSample>;
}

type CellSettings = { readonly learner: string; readonly rank: number; readonly embeddingDim: number };

/** The shared objects of a cell (see {@link cellOf}). */
export function learningObjects(
  objects: Objects,
  settings: CellSettings,
  cache: SharedObjectOptions = {},
): LearningObjects {
  const cell = cellOf(settings);
  const { basis, population } = learningKeys(settings);
  const decode = (bytes: Uint8Array, key: string) => decodeBasisOf(settings, bytes, key);
  return {
    basis: new SharedObject(objects, basis, { encode: encodeBasis, decode }, cache),
    population: new SharedObject(
      objects,
      population,
      { encode: encodePopulationModel, decode: decodePopulationModel },
      cache,
    ),
    neighbours: new SharedObject(
      objects,
      `${PREFIX.skills}${cell}.neighbours`,
      { encode: encodeNeighbours, decode: decodeNeighbours },
      cache,
    ),
    basisSample: new SharedObject(
      objects,
      `${PREFIX.consolidation}${cell}.sample`,
      { encode: encodeBasisSample, decode: decodeBasisSample },
      cache,
    ),
  };
}

/** Keys of the basis and of the population model of a cell. */
export function learningKeys(settings: CellSettings) {
  const cell = cellOf(settings);
  return { basis: `${PREFIX.basis}${cell}`, population: `${PREFIX.skills}${cell}` };
}

/** @throws CorruptObjectError also for the basis of another cell */
export function decodeBasisOf(
  { rank, embeddingDim }: CellSettings,
  bytes: Uint8Array,
  key: string,
): StoredBasis {
  const stored = decodeBasis(bytes, key);
  const { basis } = stored;
  if (basis.rank === rank && basis.embeddingDim === embeddingDim) return stored;
  const found = `rank ${basis.rank} for ${basis.embeddingDim} numbers`;
  throw new CorruptObjectError(key, `found a basis of ${found}, expected rank ${rank} for ${embeddingDim}`);
}

type BasisSettings = Pick<FunctionSettings, 'embeddingModel' | 'scalingFactor' | 'rank'>;

/**
 * The stored basis if it fits the settings. A basis of another scale or embedding model counts as
 * none: another scale would serve tastes in the wrong proportion.
 */
export function basisFor(
  stored: StoredBasis | undefined,
  { embeddingModel, scalingFactor, rank }: BasisSettings,
): StoredBasis | undefined {
  const fits = stored?.embeddingModel === embeddingModel && stored.basis.scale === scalingFactor / rank;
  return fits ? stored : undefined;
}

/**
 * Reads basis and population model and combines them. A basis of other settings counts as none, see
 * {@link basisFor}. A prior of an earlier basis is replaced by the initial one. With `transfer`
 * off, the population model is not used.
 * @param how `read` from memory if young enough, or `refresh` from S3 in any case
 */
export async function readSharedLearning(
  { basis, population }: LearningObjects,
  settings: BasisSettings & Pick<FunctionSettings, 'transfer'>,
  how: 'read' | 'refresh' = 'read',
): Promise<SharedLearning> {
  const [storedBasis, storedSkills] = await Promise.all([
    basis[how](),
    settings.transfer === 'on' ? population[how]() : undefined,
  ]);
  const shared = combine(basisFor(storedBasis, settings), storedSkills);
  return { ...shared, hasBasis: storedBasis !== undefined && basis.damage === undefined };
}

/** Whether items are ranked over the whole catalogue, or candidates get a score. */
export type Purpose = 'ranking' | 'scores';

/**
 * The part of shared learning that serves a purpose. Where rewards differ, the choice model ranks
 * the catalogue, and scores are predicted rewards.
 */
export function learningTo(purpose: Purpose, shared: SharedLearning): SharedLearning {
  const { population, model } = shared;
  if (purpose === 'ranking' || population.choice === null || population.choice.rewards === null)
    return shared;
  return { ...shared, population: { ...population, choice: null }, model: { ...model, choice: null } };
}

/**
 * Combines a basis with a population model. A prior of another basis is replaced by the initial
 * one, but its mean reward stays.
 */
export function combine(
  storedBasis: (ReplacedBasis & Pick<StoredBasis, 'learnedFrom'>) | undefined,
  stored: PopulationModel | undefined,
): SharedLearning {
  const { basis = null, carryOvers = [], learnedFrom } = storedBasis ?? {};
  const basisId = basis?.id ?? null;
  let population = stored ?? initialPopulationModel(basis);
  if (population.prior.basisId !== basisId) {
    const { meanReward } = population.prior;
    population = {
      ...population,
      prior: initialPriorOf(basis, { meanReward }),
      choice: null,
      priorVersion: 0,
      evidence: null,
    };
  }
  return {
    basis,
    population,
    model: { basis, prior: population.prior, choice: population.choice, carryOvers },
    samplesEmbeddings: embeddingsWanted(learnedFrom) !== undefined,
    hasBasis: basis !== null,
  };
}
