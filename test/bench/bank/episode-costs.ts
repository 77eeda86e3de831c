import { userKey } from '../../../shared/config/user-key.ts';
import { DynamoEpisodeStore } from '../../../shared/episodes/dynamodb-episode-store.ts';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { startTable } from './table.ts';

/** The cost of storing the episode of one update. */
export interface EpisodeCost {
  readonly embeddingDim: number;
  readonly interactions: number;
  /** Embeddings that the episode carries. */
  readonly embeddings: number;
  /** Item and index. */
  readonly writeUnits: number;
}

const USUAL = 5;
/** The most that one event holds. */
const LARGEST = 100;

/**
 * Usual and large updates, with and without embeddings for the basis. Every number of an episode
 * has the maximum length.
 */
export async function measureEpisodes(): Promise<EpisodeCost[]> {
  const table = await startTable();
  const store = new DynamoEpisodeStore(table.client, { table: table.name, ttlDays: 90 });
  const costs: EpisodeCost[] = [];
  try {
    for (const embeddingDim of [64, 768]) {
      for (const interactions of [USUAL, LARGEST]) {
        for (const embeddings of [0, 4]) {
          const before = table.units.write;
          await store.store(episodeOf(costs.length + 2, embeddingDim, interactions, embeddings));
          // The index holds every episode as a whole, at the same price; the local DynamoDB counts
          // only the table.
          const writeUnits = 2 * (table.units.write - before);
          costs.push({ embeddingDim, interactions, embeddings, writeUnits });
        }
      }
    }
    return costs;
  } finally {
    await table.stop();
  }
}

function episodeOf(version: number, embeddingDim: number, interactions: number, embeddings: number): Episode {
  const carried = Array.from({ length: embeddings }, () => new Float16Array(embeddingDim).fill(0.1));
  return {
    userKey: userKey('ada'),
    version,
    cell: `bayesian-r4-d${embeddingDim}`,
    committedAt: 1_764_000_000_123,
    context: { events: interactions, interactions, samplesSeen: 1_234_567, skillsVersion: 1_234 },
    outcome: {
      rewards: interactions,
      meanReward: Math.PI / 10,
      loss: Math.PI / 1e3,
      lossWithoutAdapter: Math.E / 1e3,
      lossOfWarmStart: Math.SQRT2 / 1e3,
    },
    residuals: Array.from({ length: interactions }, (_, i) => ({
      itemKey: 2n ** 63n + BigInt(i),
      residual: Math.fround(0.1),
    })),
    ...(embeddings === 0 ? {} : { embeddings: carried }),
  };
}
