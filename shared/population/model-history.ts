import type { LearningSettings } from '../config/settings.ts';
import { ConflictError, CorruptObjectError, InvalidInputError, NotFoundError } from '../errors.ts';
import type { ObjectStore } from '../storage/objects.ts';
import { encodeBasis, type StoredBasis } from './basis-object.ts';
import type { PopulationModel } from './population-model.ts';
import { decodePopulationModel, encodePopulationModel } from './population-model-object.ts';
import { decodeBasisOf, learningKeys } from './shared-learning.ts';

/** The shared objects, by name. */
export type ModelPart = 'basis' | 'skills';

/** A version of a shared object that S3 still has. */
export interface ModelVersion {
  /** S3's name for it. */
  readonly versionId: string;
  readonly lastModified: Date;
  readonly latest: boolean;
  /** The version is a deletion: only its time is known. */
  readonly deleted: boolean;
  /** Length of the object; 0 when it was deleted. */
  readonly bytes: number;
  readonly basis?: StoredBasis;
  readonly skills?: PopulationModel;
  /** Why it cannot be used. */
  readonly damage?: CorruptObjectError;
}

type Store = Pick<ObjectStore, 'versions' | 'get' | 'put'>;

/**
 * Versions of the basis or of the population model, including damaged ones, newest first.
 * @throws UnavailableError
 */
export async function* modelVersions(
  part: ModelPart,
  settings: LearningSettings,
  objects: Pick<Store, 'versions' | 'get'>,
): AsyncGenerator<ModelVersion, void, undefined> {
  const key = keyOf(part, settings);
  for await (const { versionId, lastModified, latest, deleteMarker } of objects.versions(key)) {
    const common = { versionId, lastModified, latest, deleted: deleteMarker };
    const found = deleteMarker ? undefined : await objects.get(key, { versionId });
    if (found === undefined || found === 'not-modified') {
      if (deleteMarker) yield { ...common, bytes: 0 };
      continue;
    }
    const bytes = found.body.length;
    try {
      if (part === 'basis') yield { ...common, bytes, basis: decodeBasisOf(settings, found.body, key) };
      else yield { ...common, bytes, skills: decodePopulationModel(found.body, key) };
    } catch (damage) {
      if (!(damage instanceof CorruptObjectError)) throw damage;
      yield { ...common, bytes, damage };
    }
  }
}

/**
 * Makes an earlier version the current one: the basis unchanged, the population model under a new
 * version number.
 * @param versionId S3's name for the earlier version
 * @param force also when adapters cannot be carried over to the basis
 * @throws NotFoundError when S3 has no such version; CorruptObjectError when it is damaged itself;
 * InvalidInputError when adapters would start anew; ConflictError when another writer was first
 */
export async function rollBackModel(
  part: ModelPart,
  versionId: string,
  settings: LearningSettings,
  objects: Store,
  force: boolean,
): Promise<ModelVersion> {
  const key = keyOf(part, settings);
  const newest = await objects.get(key);
  const { to, current, nextNumber } = await lookUp(versionId, modelVersions(part, settings, objects));
  if (to === undefined || to.deleted) throw new NotFoundError(`${part}: found no version ${versionId}`);
  if (to.damage !== undefined) throw to.damage;
  if (to.basis !== undefined && current?.basis !== undefined && !force)
    refuseParting(current.basis, to.basis);
  const body =
    to.basis !== undefined
      ? encodeBasis(to.basis)
      : encodePopulationModel({ ...to.skills!, version: nextNumber });
  const isThere = newest !== undefined && newest !== 'not-modified';
  try {
    await objects.put(key, body, isThere ? { ifMatch: newest.etag } : { ifNoneMatch: true });
  } catch (error) {
    if (!(error instanceof ConflictError)) throw error;
    throw new ConflictError(`${part}: changed at the same time; nothing was rolled back`, { cause: error });
  }
  return to;
}

/** Adapters under the current basis can be carried over to one that has a map from it. */
function refuseParting(current: StoredBasis, to: StoredBasis): void {
  if (current.basis.id === to.basis.id) return;
  if ((to.carryOvers ?? []).some(({ fromBasisId }) => fromBasisId === current.basis.id)) return;
  throw new InvalidInputError(
    'to',
    `basis ${to.basis.id}, to which adapters under the current basis ${current.basis.id} cannot be carried over`,
    'attune basis build with the catalogue of that basis, or --force, which lets these users start anew',
  );
}

/**
 * A version, the current one, and a number above that of every version, including unreadable ones.
 * Holds two versions at a time, because there may be thousands.
 */
async function lookUp(versionId: string, versions: AsyncIterable<ModelVersion>) {
  let to: ModelVersion | undefined;
  let current: ModelVersion | undefined;
  let [largest, damaged] = [0, 0];
  for await (const version of versions) {
    if (version.versionId === versionId) to = version;
    if (version.latest) current = version;
    largest = Math.max(largest, version.skills?.version ?? 0);
    if (version.damage !== undefined) damaged += 1;
  }
  return { to, current, nextNumber: largest + damaged + 1 };
}

function keyOf(part: ModelPart, settings: LearningSettings): string {
  return learningKeys(settings)[part === 'basis' ? 'basis' : 'population'];
}
