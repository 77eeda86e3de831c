import type { EmbeddingKind } from '../../../cli/replay/datasets/item-embeddings.ts';
import { loadRatings } from '../../../cli/replay/datasets/ratings.ts';
import { type Basis, basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { MemoryDeployment } from '../learning/deployment.ts';
import { eventOf } from '../learning/run.ts';
import { type Split, splitUsers } from '../learning/split.ts';

/** A deployment of the learner 'sgd' to be played, over and over, on one split. */
export interface Play {
  readonly learningRate: number;
  /** Share of exploring users; 0 turns strategy learning off. */
  readonly exploration: number;
}

export interface PlayJob {
  readonly folder: string;
  readonly kind: EmbeddingKind;
  readonly seed: number;
  readonly play: Play;
}

/**
 * The mean squared error over the first ten updates of every user of the second half, by user id.
 */
export type PlayResult = ReadonlyMap<string, number>;

const EARLY_UPDATES = 10;

/** Splits that were played before. */
const opened = new Map<string, { split: Split; basis: Basis }>();

export async function playOnce({ folder, kind, seed, play }: PlayJob): Promise<PlayResult> {
  const { split, basis } = open({ folder, kind, seed });
  const { items, meanReward, batches } = split;
  const deployment = await MemoryDeployment.create({
    embeddingDim: basis.embeddingDim,
    basis,
    meanReward,
    consolidation: 'hourly',
    learner: { learner: 'sgd', ...play },
  });
  const losses = new Map<string, number[]>();
  for (const batch of batches) {
    const { loss } = await deployment.update(eventOf(batch, items, true));
    const known = losses.get(batch.userId);
    if (known === undefined) losses.set(batch.userId, [loss]);
    else known.push(loss);
  }
  const inOrderOfArrival = [...losses].map(
    ([userId, all]) => [userId, mean(all.slice(0, EARLY_UPDATES))] as const,
  );
  return new Map(inOrderOfArrival.slice(Math.floor(inOrderOfArrival.length / 2)));
}

function open({ folder, kind, seed }: Omit<PlayJob, 'play'>): { split: Split; basis: Basis } {
  const key = JSON.stringify([folder, kind, seed]);
  const known = opened.get(key);
  if (known !== undefined) return known;
  const split = splitUsers(loadRatings(folder), { seed, embeddings: kind });
  const basis = basisFromEmbeddings([...split.items.values()], { rank: 4, scalingFactor: 1, seed });
  opened.set(key, { split, basis });
  return { split, basis };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
