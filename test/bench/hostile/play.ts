import type { RatingsData } from '../../../cli/replay/datasets/ratings.ts';
import type { FeedbackEvent } from '../../../shared/feedback/event.ts';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { embeddingsOf } from '../embeddings.ts';
import { MemoryDeployment } from '../learning/deployment.ts';
import { type Contender, deployed, eventOf, runContender } from '../learning/run.ts';
import { type Batch, splitUsers } from '../learning/split.ts';
import { rankingMetrics } from '../ranking/metrics.ts';
import { splitPicks } from '../ranking/protocol.ts';
import { type Attack, hostileUsers, PICK_ATTACKS, published, REWARD_ATTACKS, type Scene } from './attacks.ts';

/** What users tell: rewards, as in `bench:learning`, or what they picked, as in `bench:ranking`. */
export type Feedback = 'rewards' | 'picks';

export interface PlayOptions {
  /** A kind, or the path of a file. */
  readonly embeddings: string;
  readonly seed: number;
  /** Users online at most. */
  readonly users?: number;
  readonly attack: Attack;
}

/** What one honest user got. */
export interface HonestUser {
  readonly userId: string;
  /** Mean squared error of predicted reward over the first ten updates; undefined for picks. */
  readonly p10: number | undefined;
  /** Of what was held out, ranked after the user's last event. */
  readonly auc: number | undefined;
  readonly ndcg: number | undefined;
}

export interface PlayedAttack {
  readonly honest: readonly HonestUser[];
  /** For every fit in order, whether the prior was accepted. */
  readonly accepted: readonly boolean[];
}

const EARLY_UPDATES = 10;

export function playAttack(
  data: RatingsData,
  feedback: Feedback,
  options: PlayOptions,
): Promise<PlayedAttack> {
  return feedback === 'rewards' ? playRewards(data, options) : playPicks(data, options);
}

async function playRewards(
  data: RatingsData,
  { embeddings, attack, ...options }: PlayOptions,
): Promise<PlayedAttack> {
  const split = splitUsers(data, { ...options, embeddings: embeddingsOf(embeddings, data) });
  const hostile = hostileUsers([...split.heldOut.keys()], options.seed);
  const byCount = [...split.itemMeans].toSorted(([, a], [, b]) => b.count - a.count);
  const scene = sceneOf(split.items, byCount.find(([id]) => split.items.has(id))![0]);
  const deployment = await deploy(split.items, options.seed, split.meanReward);
  const contender: Contender = {
    ...deployed(deployment, split.items),
    async learn(batch: Batch) {
      const honest = eventOf(batch, split.items, true);
      const event = published(honest, attack, { hostile, scene, lies: REWARD_ATTACKS });
      return event === undefined ? Number.NaN : (await deployment.update(event)).loss;
    },
  };
  const results = await runContender(split, contender);
  return {
    honest: results
      .filter(({ userId }) => !hostile.includes(userId))
      .map(({ userId, losses, auc, ndcg }) => ({
        userId,
        p10: mean(losses.slice(0, EARLY_UPDATES)),
        auc,
        ndcg,
      })),
    accepted: acceptedBy(deployment),
  };
}

/** The catalogue is ranked after the last event of every honest user. */
async function playPicks(
  data: RatingsData,
  { embeddings, attack, ...options }: PlayOptions,
): Promise<PlayedAttack> {
  const split = splitPicks(data, { ...options, embeddings: embeddingsOf(embeddings, data) });
  const { itemIds, userIds } = split;
  const items = new Map(itemIds.map((id, i) => [id, split.embeddings[i]!]));
  const hostile = hostileUsers(userIds, options.seed);
  const picked = new Set(split.otherEvents.flatMap((event) => [...event.items]));
  const unpopular = itemIds.findIndex((_, item) => !picked.has(item));
  const scene = sceneOf(items, itemIds[Math.max(0, unpopular)]!);
  const deployment = await deploy(items, options.seed, 0.5);
  const candidates = itemIds.map((itemId) => ({ itemId, embedding: items.get(itemId)! }));
  const honest: HonestUser[] = [];
  for (const [i, { user, items: picks, at, last }] of split.events.entries()) {
    const userId = userIds[user]!;
    const own: FeedbackEvent = {
      schemaVersion: 1,
      eventId: `${userId}-${i}`,
      userId,
      occurredAt: new Date(at).toISOString(),
      interactions: [...picks].map((item) => ({ ...candidates[item]!, reward: 1 })),
    };
    const event = published(own, attack, { hostile, scene, lies: PICK_ATTACKS });
    if (event !== undefined) await deployment.update(event);
    if (!last || hostile.includes(userId)) continue;
    const excluded = new Uint8Array(itemIds.length);
    for (const item of split.interacted[user]!) excluded[item] = 1;
    const scores = Float64Array.from(await deployment.scores(userId, candidates));
    const { auc, ndcg } = rankingMetrics(scores, split.heldOut[user]!, excluded);
    honest.push({ userId, p10: undefined, auc, ndcg });
  }
  return { honest, accepted: acceptedBy(deployment) };
}

function sceneOf(items: Scene['items'], victim: string): Scene {
  return { items, itemIds: [...items.keys()], victim };
}

function deploy(
  items: ReadonlyMap<string, Float32Array>,
  seed: number,
  meanReward: number,
): Promise<MemoryDeployment> {
  const basis = basisFromEmbeddings([...items.values()], { rank: 4, scalingFactor: 1, seed });
  const { embeddingDim } = basis;
  return MemoryDeployment.create({ embeddingDim, basis, meanReward, consolidation: 'hourly' });
}

function acceptedBy({ reports }: MemoryDeployment): boolean[] {
  return reports.flatMap(({ evidence, priorAccepted }) => (evidence === null ? [] : [priorAccepted]));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
