import { createHash } from 'node:crypto';
import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { PREFIX } from '../../shared/config/names.ts';
import type { PersonalizeAnswer, ScoredItem } from '../../shared/contract/answers.ts';
import { encodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { type LearnerState, learnerOf } from '../../shared/lora/learner.ts';
import { combine, type LearningObjects, learningTo } from '../../shared/population/shared-learning.ts';
import type { ObjectStore } from '../../shared/storage/objects.ts';
import { askPersonalize, type PersonalizeFunction } from './ask-personalize.ts';
import { aucByThreshold, bootstrapInterval, mean, ndcg } from './datasets/ranking-metrics.ts';
import { interactionsIn } from './kept.ts';
import type { HeldOutUser, ReplayPlan } from './plan.ts';

/**
 * Ranking quality on held-out items; means over users. A user who liked all held-out items, or
 * none, has no AUC; null when that is the case for all.
 */
export interface Ranking {
  /** Users with liked and disliked held-out items. */
  readonly users: number;
  /** By the embeddings alone. */
  readonly aucBase: number | null;
  /** For a new user, from item effects and the prior. */
  readonly aucShared: number | null;
  /** Including the user's own adapter. */
  readonly aucAdapted: number | null;
  /** 95 % bootstrap interval over users. */
  readonly aucAdaptedInterval: Interval | null;
  /** Gain of the own adapter over a new user's ranking, with its interval. */
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

/** Least reward of a liked item: 4 of 5 stars. */
const LIKED = 7 / 9 - 1e-9;

/** An id without a user, so that it is answered like a new user. */
export const SOMEBODY_NEW = 'attune-local-somebody-new';

/**
 * Ranks every user's held-out items by the embeddings alone, as for a new user, and for the user;
 * the latter two through personalize.
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
  /**
   * SHA-256 of every adapter's sums, applied events, and B solved under the current population
   * model. Equal learning gives equal hashes.
   */
  readonly digest: string;
}

export async function readLearnedState(
  objects: ObjectStore,
  learning: LearningObjects,
): Promise<LearnedState> {
  const shared = combine(await learning.basis.refresh(), await learning.population.refresh());
  const { model } = learningTo('scores', shared);
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

/** The parts of a state that equal learning makes equal. */
function sumsOf(state: LearnerState) {
  if (state.learner === 'sgd') {
    const { steps, count, rewardSum, a } = state;
    return { numbers: [steps, count, rewardSum], arrays: [a.values] };
  }
  const { gram, moment, sumSquares, count, rewardSum } = state.statistics;
  return { numbers: [sumSquares, count, rewardSum], arrays: [gram, moment] };
}
