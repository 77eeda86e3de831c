import { createHash } from 'node:crypto';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { PREFIX } from '../../shared/config/names.ts';
import type { PersonalizeAnswer, ScoredItem } from '../../shared/contract/answers.ts';
import { encodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { type LearnerState, learnerOf } from '../../shared/lora/learner.ts';
import { combine, type LearningObjects } from '../../shared/population/shared-learning.ts';
import type { ObjectStore } from '../../shared/storage/objects.ts';
import { askPersonalize, type PersonalizeFunction } from './ask-personalize.ts';
import { aucByThreshold, bootstrapInterval, mean, ndcg } from './datasets/ranking-metrics.ts';
import { interactionsIn } from './kept.ts';
import type { HeldOutUser, ReplayPlan } from './plan.ts';

/**
 * How well held-out items are ranked; means over users. Who liked all held-out items, or none, has no AUC; where that is
 * everybody, there is none at all: null.
 */
export interface Ranking {
  /** Users with liked and disliked held-out items. */
  readonly users: number;
  /** By the embeddings alone. */
  readonly aucBase: number | null;
  /** As for somebody new, by what all users taught: item effects and the population prior. */
  readonly aucShared: number | null;
  /** By the user's own adapter as well. */
  readonly aucAdapted: number | null;
  /** 95 % bootstrap interval over users. */
  readonly aucAdaptedInterval: Interval | null;
  /** What the own adapter adds to what all users taught, with its interval. */
  readonly aucGain: number | null;
  readonly aucGainInterval: Interval | null;
  readonly ndcgBase: number | null;
  readonly ndcgShared: number | null;
  readonly ndcgAdapted: number | null;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** A held-out item is liked from this reward on: 4 of 5 stars. */
const LIKED = 7 / 9 - 1e-9;

/** Nobody has this id, so that it is answered as a new user is. */
export const SOMEBODY_NEW = 'attune-local-somebody-new';

/**
 * Ranks every user's held-out items by the embeddings alone, as for somebody new, and for the user: the latter two as
 * personalize answers.
 * @throws UnavailableError when personalize fails; the signal's reason when it is aborted
 */
export async function rankHeldOut(
  plan: ReplayPlan,
  personalize: PersonalizeFunction,
  onProgress: (users: number) => void,
): Promise<Ranking> {
  const scoresFor = (userId: string, interactions: HeldOutUser['interactions']) =>
    scoresOf(userId, interactions, plan, personalize);
  const rankings: Record<'base' | 'shared' | 'adapted', (number | undefined)[]> = {
    base: [],
    shared: [],
    adapted: [],
  };
  const ndcgs = { base: [] as number[], shared: [] as number[], adapted: [] as number[] };
  for (const { userId, interactions } of plan.heldOut) {
    personalize.signal.throwIfAborted();
    const scores = {
      // Without an adapter y = x, and ⟨x, y⟩/⟨x, x⟩ is 1 for every item: no preference.
      base: interactions.map(() => 1),
      shared: await scoresFor(SOMEBODY_NEW, interactions),
      adapted: await scoresFor(userId, interactions),
    };
    const liked = interactions.map(({ reward }) => reward >= LIKED);
    const gains = interactions.map(({ reward }) => 2 ** (0.5 + 4.5 * reward) - 1);
    for (const by of ['base', 'shared', 'adapted'] as const) {
      rankings[by].push(aucByThreshold(scores[by], liked));
      ndcgs[by].push(ndcg(scores[by], gains) ?? 0);
    }
    onProgress(ndcgs.base.length);
  }
  const adapted = rankings.adapted.filter((auc) => auc !== undefined);
  const gain = rankings.adapted.flatMap((auc, i) => (auc === undefined ? [] : [auc - rankings.shared[i]!]));
  const average = (values: readonly (number | undefined)[]) => mean(values) ?? null;
  const interval = (values: readonly number[]) =>
    values.length === 0 ? null : bootstrapInterval(values, { seed: 1 });
  return {
    users: adapted.length,
    aucBase: average(rankings.base),
    aucShared: average(rankings.shared),
    aucAdapted: average(adapted),
    aucAdaptedInterval: interval(adapted),
    aucGain: average(gain),
    aucGainInterval: interval(gain),
    ndcgBase: average(ndcgs.base),
    ndcgShared: average(ndcgs.shared),
    ndcgAdapted: average(ndcgs.adapted),
  };
}

async function scoresOf(
  userId: string,
  interactions: HeldOutUser['interactions'],
  { items }: ReplayPlan,
  personalize: PersonalizeFunction,
): Promise<number[]> {
  const candidates = interactions.map(({ itemId }) => ({
    itemId,
    embedding: encodeEmbedding(items.get(itemId)!),
  }));
  const answer = await askPersonalize<PersonalizeAnswer>(personalize, { userId, candidates });
  const scores = new Array<number>(interactions.length).fill(Number.NaN);
  for (const { index, score } of answer.items as readonly ScoredItem[]) scores[index] = score;
  return scores;
}

/** What all adapters have learned. */
export interface LearnedState {
  readonly adapters: number;
  /** Interactions that have taken effect. */
  readonly interactions: number;
  /** Commits, the adapters' versions added up. */
  readonly updates: number;
  /** SHA-256 of every adapter's sums, applied events, and B solved under the skills in force; equal for equal learning. */
  readonly digest: string;
}

export async function readLearnedState(
  objects: ObjectStore,
  learning: LearningObjects,
): Promise<LearnedState> {
  const { model } = combine(await learning.basis.refresh(), await learning.population.refresh());
  const store = new AdapterStore(objects);
  const hash = createHash('sha256');
  let adapters = 0;
  let interactions = 0;
  let updates = 0;
  const keys: string[] = [];
  for await (const { key } of objects.list(PREFIX.adapters)) keys.push(key);
  for (const key of keys.sort()) {
    const loaded = await store.load(key.slice(PREFIX.adapters.length));
    if (loaded === undefined) continue;
    const { state, version, recentEvents } = loaded.adapter;
    const { b, offset } = learnerOf(state.learner).solve(state, model);
    const { numbers, arrays } = sumsOf(state);
    hash.update(`${key} ${numbers.join(' ')} ${offset}\n`);
    for (const values of [...arrays, b, recentEvents.toSorted()]) {
      hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    adapters += 1;
    interactions += interactionsIn(state);
    updates += version;
  }
  return { adapters, interactions, updates, digest: hash.digest('hex') };
}

/** What a state consists of, as far as equal learning makes it equal. */
function sumsOf(state: LearnerState) {
  if (state.learner === 'sgd') {
    const { steps, count, rewardSum, a } = state;
    return { numbers: [steps, count, rewardSum], arrays: [a.values] };
  }
  const { gram, moment, sumSquares, count, rewardSum } = state.statistics;
  return { numbers: [sumSquares, count, rewardSum], arrays: [gram, moment] };
}
