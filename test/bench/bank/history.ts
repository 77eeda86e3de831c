import { userKey } from '../../../shared/config/user-key.ts';
import { taskOf } from '../../../shared/episodes/adaptation-context.ts';
import type { Episode } from '../../../shared/episodes/episode.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import type { NewPattern } from '../../../shared/reasoning-bank/bank.ts';

const VERSIONS_PER_USER = 10;

/** Episodes of the update path, all in one cell: the most that any query can meet. */
export function history(from: number, to: number, startedAt: number): Episode[] {
  const random = createRandom(`bank ${from}`);
  return Array.from({ length: to - from }, (_, i) => {
    const at = from + i;
    const version = (at % VERSIONS_PER_USER) + 1;
    const interactions = 1 + random.integer(5);
    const lossWithoutAdapter = 0.02 + 0.06 * random.next();
    return {
      userKey: userKey(`user-${Math.floor(at / VERSIONS_PER_USER)}`),
      version,
      cell: 'bayesian-r4-d64',
      committedAt: startedAt + at,
      context: { events: 1, interactions, samplesSeen: (version - 1) * 5, skillsVersion: 1 },
      outcome: {
        rewards: interactions,
        meanReward: random.next(),
        loss: lossWithoutAdapter * (0.6 + 0.7 * random.next()),
        lossWithoutAdapter,
        lossOfWarmStart: lossWithoutAdapter * 0.9,
      },
      residuals: Array.from({ length: interactions }, (_, item) => ({
        itemKey: BigInt(at * 8 + item),
        residual: Math.fround(random.next() - 0.5),
      })),
    };
  });
}

/** A pattern with a context of its own, as the engine stores it. */
export function probe(index: number): NewPattern {
  const samplesSeen = 7 + index * 3;
  return {
    sessionId: 'bench',
    task: taskOf(`probe-${index}`, 4, samplesSeen),
    input: JSON.stringify({ rank: 4, embeddingDim: 64, batchSize: 5 }),
    output: JSON.stringify({ avgLoss: 0.04 }),
    critique: 'The adapter predicted better than no adapter.',
    success: true,
    reward: 0.6,
    userId: `probe-${index}`,
    version: 1 + index,
    context: { learner: 'bayesian', rank: 4, embeddingDim: 64, samplesSeen, batchSize: 5, loss: 0.04 },
    hyperparameters: { priorVariance: 10 },
    outcome: { rewards: 5, meanReward: 0.5, loss: 0.04, lossWithoutAdapter: 0.06, lossOfWarmStart: 0.05 },
  };
}
