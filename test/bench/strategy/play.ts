import type { EmbeddingKind } from '../../../shared/datasets/item-embeddings.ts';
import { loadRatings } from '../../../shared/datasets/ratings.ts';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { MemoryDeployment } from '../learning/deployment.ts';
import { eventOf } from '../learning/run.ts';
import { splitUsers } from '../learning/split.ts';

/** A deployment of the learner 'sgd' to be played, over and over, on one split. */
export interface Play {
  readonly learningRate: number;
  /** Share of users who explore; 0 is without strategy learning. */
  readonly exploration: number;
}

export interface SplitJob {
  readonly folder: string;
  readonly kind: EmbeddingKind;
  readonly seed: number;
  readonly plays: readonly Play[];
}

/** Per play, the mean squared error over the first ten updates of every user who came in the second half, by user id. */
export type PlayResult = ReadonlyMap<string, number>;

const EARLY_UPDATES = 10;

export async function playSplit(
  { folder, kind, seed, plays }: SplitJob,
  onPlay: () => void,
): Promise<PlayResult[]> {
  const { items, meanReward, batches } = splitUsers(loadRatings(folder), { seed, kind });
  const basis = basisFromEmbeddings([...items.values()], { rank: 4, scalingFactor: 1, seed });
  const results: PlayResult[] = [];
  for (const play of plays) {
    onPlay();
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
    results.push(new Map(inOrderOfArrival.slice(Math.floor(inOrderOfArrival.length / 2))));
  }
  return results;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
