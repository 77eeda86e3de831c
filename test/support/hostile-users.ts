import { pairwiseAuc } from '../../cli/replay/datasets/ranking-metrics.ts';
import type { ConsolidationReport } from '../../functions/consolidate-patterns/consolidate.ts';
import type { FeedbackEvent, Interaction } from '../../shared/feedback/event.ts';
import { basisFromEmbeddings } from '../../shared/lora/basis.ts';
import { createRandom } from '../../shared/lora/random.ts';
import { learningObjects } from '../../shared/population/shared-learning.ts';
import { MemoryDeployment } from '../bench/learning/deployment.ts';

/** A catalogue, and users with their own tastes who partly agree about the items. */
const DIM = 8;
const ITEMS = 150;
const USERS = 120;
const EVENTS = 8;
const EVENT_SIZE = 5;
const HELD_OUT = 20;
/** One user in so many is hostile. */
const HOSTILE = 20;

const random = createRandom('catalogue');
export const items = Array.from({ length: ITEMS }, () => ({
  embedding: Float32Array.from({ length: DIM }, (_, i) => (i === 0 ? 2 : random.normal())),
  quality: 0.12 * random.normal(),
}));
/** Number of the item that everybody likes best. */
export const BEST = items.reduce((best, { quality }, i) => (quality > items[best]!.quality ? i : best), 0);

type Rate = (
  interaction: { item: number; reward: number },
  random: ReturnType<typeof createRandom>,
) => Hostile;
type Hostile = { item?: number; reward: number } | { target: Float32Array };

/** Feedback of a hostile user in place of an honest opinion. */
export const ATTACKS = {
  inverting: ({ reward }) => ({ reward: 1 - reward }),
  random: (_, own) => ({ reward: own.next() }),
  'all 0': () => ({ reward: 0 }),
  'all 1': () => ({ reward: 1 }),
  'extreme targets': ({ item, reward }, own) =>
    own.next() < 0.5 ? { reward } : { target: items[item]!.embedding.map((value) => -3.9 * value) },
  'concentrated on the best item': () => ({ item: BEST, reward: 0 }),
} satisfies Record<string, Rate>;

export type Attack = keyof typeof ATTACKS;

/** An honest opinion of every item. */
function opinionsOf(userId: string): number[] {
  const own = createRandom(`taste ${userId}`);
  const taste = Array.from({ length: DIM }, () => 0.06 * own.normal());
  const offset = 0.08 * own.normal();
  return items.map(({ embedding, quality }) => {
    const liking = embedding.reduce((sum, x, i) => sum + x * taste[i]!, 0);
    return Math.min(1, Math.max(0, 0.68 + offset + quality + liking + 0.15 * own.normal()));
  });
}

function eventOf(userId: string, index: number, chosen: readonly number[], rate: Rate): FeedbackEvent {
  const opinions = opinionsOf(userId);
  const own = createRandom(`attack ${userId} ${index}`);
  const interactions = chosen.map((item): Interaction => {
    const told = rate({ item, reward: opinions[item]! }, own);
    if ('target' in told) return { itemId: `item ${item}`, embedding: items[item]!.embedding, ...told };
    const { item: named = item, reward } = told;
    return { itemId: `item ${named}`, embedding: items[named]!.embedding, reward };
  });
  return {
    schemaVersion: 1,
    eventId: `${userId}-${index}`,
    userId,
    occurredAt: '2026-01-01T00:00:00Z',
    interactions,
  };
}

const honestly: Rate = ({ reward }) => ({ reward });

/** Items of a user, in the order of interaction; the last are held out. */
function itemsOf(userId: string): number[] {
  return createRandom(`items ${userId}`)
    .shuffle(items.map((_, item) => item))
    .slice(0, EVENTS * EVENT_SIZE + HELD_OUT);
}

export interface Played {
  /**
   * Mean squared error of predicted reward over honest users' first ten updates, and AUC of the
   * held-out items.
   */
  readonly p10: number;
  readonly auc: number;
  /** One entry per run that fitted a prior: whether it was accepted. */
  readonly accepted: readonly boolean[];
  readonly unusualUsers: ReadonlySet<string>;
}

export async function deploy() {
  const deployment = await MemoryDeployment.create({
    embeddingDim: DIM,
    basis: basisFromEmbeddings(
      items.map(({ embedding }) => embedding),
      { rank: 4, scalingFactor: 1, seed: 1 },
    ),
    meanReward: 0.5,
    consolidation: 'never',
  });
  const objects = learningObjects(deployment.objects, deployment.settings, { maxAgeMs: 1 });
  return { deployment, population: async () => (await objects.population.refresh())! };
}

/** The attack of each user; undefined for the honest ones. */
const attackers =
  (attack: Attack | 'mixed' | 'none') =>
  (user: number): Rate | undefined => {
    if (attack === 'none' || user % HOSTILE !== 7) return undefined;
    const kinds = Object.values(ATTACKS);
    return attack === 'mixed' ? kinds[Math.floor(user / HOSTILE) % kinds.length] : ATTACKS[attack];
  };

/**
 * A deployment that users come to one after the other, four at a time, and that consolidates often.
 */
export async function play(attack: Attack | 'mixed' | 'none'): Promise<Played> {
  const { deployment } = await deploy();
  const attackOf = attackers(attack);
  const losses = new Map<number, number[]>();
  const reports: ConsolidationReport[] = [];
  const schedule = Array.from({ length: USERS * EVENTS }, (_, i) => {
    const [group, within] = [Math.floor(i / (4 * EVENTS)), i % (4 * EVENTS)];
    return { user: 4 * group + (within % 4), index: Math.floor(within / 4) };
  });
  let [updates, due] = [0, 40];
  for (const { user, index } of schedule) {
    const userId = `user ${user}`;
    const chosen = itemsOf(userId).slice(index * EVENT_SIZE, (index + 1) * EVENT_SIZE);
    const { loss } = await deployment.update(eventOf(userId, index, chosen, attackOf(user) ?? honestly));
    losses.set(user, [...(losses.get(user) ?? []), loss]);
    if (++updates < due) continue;
    reports.push(await deployment.consolidate(true));
    due = Math.ceil(1.25 * updates);
  }
  // Users who lie in any play are left out of all, so that plays can be compared.
  const honest = [...losses.keys()].filter((user) => attackers('mixed')(user) === undefined);
  const aucs = await Promise.all(
    honest.map(async (user) => {
      const held = itemsOf(`user ${user}`).slice(EVENTS * EVENT_SIZE);
      const scores = await deployment.scores(
        `user ${user}`,
        held.map((item) => ({ itemId: `item ${item}`, embedding: items[item]!.embedding })),
      );
      const opinions = opinionsOf(`user ${user}`);
      return pairwiseAuc(
        scores,
        held.map((item) => opinions[item]!),
      )!;
    }),
  );
  return {
    p10: mean(honest.map((user) => mean(losses.get(user)!.slice(0, 10)))),
    auc: mean(aucs),
    accepted: reports.flatMap(({ evidence, priorAccepted }) => (evidence === null ? [] : [priorAccepted])),
    unusualUsers: new Set(reports.flatMap(({ unusualUsers }) => unusualUsers.map(({ userKey }) => userKey))),
  };
}

/** Feedback of one user, all in events of five. */
export async function publish(
  deployment: MemoryDeployment,
  userId: string,
  events: number,
  rate: Rate = honestly,
): Promise<void> {
  const own = createRandom(`items ${userId}`);
  for (let index = 0; index < events; index++) {
    const chosen = own.shuffle(items.map((_, item) => item)).slice(0, EVENT_SIZE);
    await deployment.update(eventOf(userId, index, chosen, rate));
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
