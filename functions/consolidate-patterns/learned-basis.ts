import type { FunctionSettings } from '../../shared/config/settings.ts';
import type { IndexedEpisode } from '../../shared/episodes/episode-store.ts';
import { basisFromEmbeddings, sampleEvenly } from '../../shared/lora/basis.ts';
import { carryOversTo } from '../../shared/lora/carry-over.ts';
import { median } from '../../shared/lora/robust.ts';
import type { StoredBasis } from '../../shared/population/basis-object.ts';
import type { BasisSample } from '../../shared/population/basis-sample-object.ts';
import { ENOUGH_EMBEDDINGS, embeddingsWanted } from '../../shared/population/embedding-sample.ts';
import type { LearningObjects } from '../../shared/population/shared-learning.ts';
import type { SampledState } from './sample.ts';

/** Fewer buffered interactions, or fewer users, would give a basis of a few tastes only. */
const BASIS_FROM = { interactions: 600, users: 10 } as const;
/**
 * A user counts for at most this many times the median user, or the mean of the smallest basis, so
 * that no user turns the basis away from the items of others.
 */
const MOST_MEDIANS = 2;

/**
 * Learns the first basis from buffered interactions, when no catalogue gave one. Each item counts
 * once per interaction, within the bounds of its user. The embeddings are stored, so that a better
 * basis can be learned later.
 * @returns undefined while too few interactions are buffered
 * @throws ConflictError when another run wrote first, UnavailableError
 */
export async function learnFirstBasis(
  learning: LearningObjects,
  states: readonly SampledState[],
  settings: FunctionSettings,
): Promise<StoredBasis | undefined> {
  const buffered = states.map(({ state }) => state.buffered).filter(({ length }) => length > 0);
  const most = Math.max(
    BASIS_FROM.interactions / BASIS_FROM.users,
    MOST_MEDIANS * median(buffered.map(({ length }) => length)),
  );
  const embeddings = buffered.flatMap((interactions) =>
    sampleEvenly(
      interactions
        .map(({ embedding }) => embedding)
        .filter((embedding) => embedding.some((value) => value !== 0)),
      most,
    ),
  );
  if (embeddings.length < BASIS_FROM.interactions || buffered.length < BASIS_FROM.users) return undefined;
  const sample = sampleEvenly(embeddings, ENOUGH_EMBEDDINGS);
  await learning.basisSample.refresh();
  await learning.basisSample.write({ embeddings: sample, watermarks: [] });
  return writeBasis(learning, undefined, sample, settings);
}

/**
 * Adds the embeddings of new episodes, within the bounds of each user, to the sample that the basis
 * was learned from, and learns a new basis when there are enough. A basis of a catalogue is never
 * replaced.
 * @param found new episodes; those whose embeddings are in the sample already are skipped
 * @returns the new basis, undefined when the current one stays
 * @throws ConflictError when another run wrote first, UnavailableError
 */
export async function learnBetterBasis(
  learning: LearningObjects,
  current: StoredBasis | undefined,
  found: readonly IndexedEpisode[],
  settings: FunctionSettings,
): Promise<StoredBasis | undefined> {
  const wanted = embeddingsWanted(current?.learnedFrom);
  if (wanted === undefined) return undefined;
  const before = await learning.basisSample.refresh();
  const sample = withNew(before, found, settings.embeddingDim);
  if (sample.embeddings.length > (before?.embeddings.length ?? 0)) await learning.basisSample.write(sample);
  if (sample.embeddings.length < wanted) return undefined;
  return writeBasis(learning, current, sample.embeddings, settings);
}

async function writeBasis(
  learning: LearningObjects,
  current: StoredBasis | undefined,
  sample: readonly Float16Array[],
  { rank, scalingFactor, embeddingModel }: FunctionSettings,
): Promise<StoredBasis> {
  const embeddings = sample.map((embedding) => Float32Array.from(embedding));
  const basis = basisFromEmbeddings(embeddings, { rank, scalingFactor, seed: 'feedback' });
  const stored: StoredBasis = {
    basis,
    embeddingModel,
    learnedFrom: embeddings.length,
    carryOvers: carryOversTo(basis, current, embeddings),
  };
  await learning.basis.write(stored);
  return stored;
}

function withNew(
  sample: BasisSample | undefined,
  found: readonly IndexedEpisode[],
  embeddingDim: number,
): BasisSample {
  const embeddings = [...(sample?.embeddings ?? [])];
  const watermarks = [...(sample?.watermarks ?? [])];
  const byUser = new Map<string, (readonly Float16Array[])[]>();
  for (const { episode, shard, position } of found) {
    while (watermarks.length <= shard) watermarks.push('');
    if (position <= watermarks[shard]!) continue;
    watermarks[shard] = position;
    const own = (episode.embeddings ?? []).filter(({ length }) => length === embeddingDim);
    if (own.length === 0) continue;
    byUser.set(episode.userKey, [...(byUser.get(episode.userKey) ?? []), own]);
  }
  // Otherwise the users with most updates would decide the content of the basis.
  const most =
    byUser.size < BASIS_FROM.users
      ? 1
      : MOST_MEDIANS * median([...byUser.values()].map(({ length }) => length));
  for (const episodes of byUser.values()) embeddings.push(...episodes.slice(0, most).flat());
  return { embeddings: sampleEvenly(embeddings, ENOUGH_EMBEDDINGS), watermarks };
}
