import { createHash } from 'node:crypto';
import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda';
import type { PersonalizeAnswer, ScoredItem } from '../../functions/personalize/personalize.ts';
import { AdapterStore } from '../../shared/adapter-store/adapter-store.ts';
import { type LearningObjects, readSharedLearning } from '../../shared/adapter-store/learning-objects.ts';
import type { ObjectStore } from '../../shared/adapter-store/objects.ts';
import { aucByThreshold, bootstrapInterval, mean, ndcg } from '../../shared/datasets/ranking-metrics.ts';
import { UnavailableError } from '../../shared/errors.ts';
import { encodeEmbedding } from '../../shared/feedback/embedding-codec.ts';
import { solveWeights } from '../../shared/lora/bayesian.ts';
import { PREFIX } from '../../shared/runtime/names.ts';
import type { HeldOutUser, ReplayPlan } from './plan.ts';

/** How well held-out items are ranked; means over users. */
export interface Ranking {
  /** Users with liked and disliked held-out items. */
  readonly users: number;
  readonly aucBase: number;
  readonly aucAdapted: number;
  /** 95 % bootstrap interval over users. */
  readonly aucAdaptedInterval: { readonly low: number; readonly high: number };
  readonly ndcgBase: number;
  readonly ndcgAdapted: number;
}

/** A held-out item is liked from this reward on: 4 of 5 stars. */
const LIKED = 7 / 9 - 1e-9;

/** Ranks every user's held-out items by what the personalize function answers, and by the embeddings alone. */
export async function rankHeldOut(
  plan: ReplayPlan,
  client: LambdaClient,
  functionName: string,
  onProgress: (users: number) => void,
): Promise<Ranking> {
  const perUser: {
    base: number | undefined;
    adapted: number | undefined;
    ndcgBase: number;
    ndcgAdapted: number;
  }[] = [];
  for (const user of plan.heldOut) {
    const adapted = await scoresOf(user, plan, client, functionName);
    // Without an adapter y = x, and ⟨x, y⟩/⟨x, x⟩ is 1 for every item: no preference.
    const base = user.interactions.map(() => 1);
    const liked = user.interactions.map(({ reward }) => reward >= LIKED);
    const gains = user.interactions.map(({ reward }) => 2 ** (0.5 + 4.5 * reward) - 1);
    perUser.push({
      base: aucByThreshold(base, liked),
      adapted: aucByThreshold(adapted, liked),
      ndcgBase: ndcg(base, gains) ?? 0,
      ndcgAdapted: ndcg(adapted, gains) ?? 0,
    });
    onProgress(perUser.length);
  }
  const both = perUser.flatMap(({ adapted }) => (adapted === undefined ? [] : [adapted]));
  return {
    users: both.length,
    aucBase: mean(perUser.map(({ base }) => base)) ?? Number.NaN,
    aucAdapted: mean(both) ?? Number.NaN,
    aucAdaptedInterval: bootstrapInterval(both, { seed: 1 }),
    ndcgBase: mean(perUser.map(({ ndcgBase }) => ndcgBase)) ?? Number.NaN,
    ndcgAdapted: mean(perUser.map(({ ndcgAdapted }) => ndcgAdapted)) ?? Number.NaN,
  };
}

async function scoresOf(
  { userId, interactions }: HeldOutUser,
  { items }: ReplayPlan,
  client: LambdaClient,
  functionName: string,
): Promise<number[]> {
  const candidates = interactions.map(({ itemId }) => ({
    itemId,
    embedding: encodeEmbedding(items.get(itemId)!),
  }));
  const response = await client.send(
    new InvokeCommand({ FunctionName: functionName, Payload: JSON.stringify({ userId, candidates }) }),
  );
  const text = Buffer.from(response.Payload ?? []).toString('utf8');
  if (response.FunctionError !== undefined) throw new UnavailableError(`personalize failed: ${text}`);
  const answer = JSON.parse(text) as PersonalizeAnswer;
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
  await Promise.all([learning.basis.refresh(), learning.skills.refresh()]);
  const { model } = await readSharedLearning(learning);
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
    if (state.learner !== 'bayesian') throw new RangeError(`the replay measures no learner ${state.learner}`);
    const { gram, moment, sumSquares, count, rewardSum } = state.statistics;
    const { b, offset } = solveWeights(state, model);
    hash.update(`${key} ${sumSquares} ${count} ${rewardSum} ${offset}\n`);
    for (const values of [gram, moment, b, recentEvents.toSorted()]) {
      hash.update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
    adapters += 1;
    interactions += count + (state.targets?.count ?? 0);
    updates += version;
  }
  return { adapters, interactions, updates, digest: hash.digest('hex') };
}
