import type { StoredAdapter } from '../../shared/adapters/adapter-object.ts';
import { canContinue } from '../../shared/adapters/compatibility.ts';
import { addRecentEvents, eventKey } from '../../shared/adapters/recent-events.ts';
import {
  addRecentItems,
  type Meeting,
  NO_RECENT_ITEMS,
  type RecentItems,
} from '../../shared/adapters/recent-items.ts';
import { agreesWithOthers, hasVote } from '../../shared/adapters/votes.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import {
  type Attribution,
  cellOf,
  type Episode,
  type ItemResidual,
  itemKey,
  MOST_ATTRIBUTIONS,
} from '../../shared/episodes/episode.ts';
import { outcomeOf } from '../../shared/episodes/outcome.ts';
import type { FeedbackEvent, Interaction } from '../../shared/feedback/event.ts';
import { type LearnerState, learnerOf } from '../../shared/lora/learner.ts';
import type { PredictedReward } from '../../shared/lora/prequential.ts';
import type { Model, Training, TrainingInteraction } from '../../shared/lora/training.ts';
import { sampleOfUpdate } from '../../shared/population/embedding-sample.ts';
import { hyperparametersFor } from '../../shared/population/exploration.ts';
import { isHeldOut } from '../../shared/population/holdout.ts';
import { effectOfItem, type ItemEffects } from '../../shared/population/population-model.ts';
import type { SharedLearning } from '../../shared/population/shared-learning.ts';

/** The result of applying events of one user. */
export interface Applied {
  /** The next version of the adapter; undefined when all events were duplicates. */
  readonly adapter: StoredAdapter | undefined;
  readonly applied: readonly FeedbackEvent[];
  readonly duplicates: readonly FeedbackEvent[];
}

interface Update {
  readonly userKey: string;
  readonly settings: FunctionSettings;
  /** Epoch milliseconds. */
  readonly now: number;
}

/**
 * Computes the next version of a user's adapter. Pure: the same arguments give the same bytes.
 * Events are learned one by one in the given order, each predicted before it is learned, so that
 * the learned state does not depend on how events were split into updates.
 * @param previous undefined for a user without an adapter
 */
export function applyEvents(
  previous: StoredAdapter | undefined,
  events: readonly FeedbackEvent[],
  learning: SharedLearning,
  update: Update,
): Applied {
  const { applied, duplicates } = separateDuplicates(previous, events);
  if (applied.length === 0) return { adapter: undefined, applied, duplicates };
  const { userKey, settings } = update;
  const { population } = learning;
  const hyperparameters = hyperparametersFor(userKey, settings, population.recommended);
  const model = hyperparameters === undefined ? learning.model : { ...learning.model, hyperparameters };
  const start = startOf(previous, settings, model);
  const recent = previous?.recentItems ?? NO_RECENT_ITEMS;
  const learned = learn(start, applied, model, population.items, recent);
  const episode = episodeOf((previous?.version ?? 0) + 1, applied, learning, update, {
    ...learned,
    hyperparameters,
    samplesSeen: start.record.count,
  });
  return { adapter: adapterOf(previous, applied, model, episode, update, learned), applied, duplicates };
}

/**
 * An event is a duplicate when the adapter has applied its id recently, or when it is repeated in
 * `events`.
 */
function separateDuplicates(previous: StoredAdapter | undefined, events: readonly FeedbackEvent[]) {
  const known = new Set(previous?.recentEvents);
  const applied: FeedbackEvent[] = [];
  const duplicates: FeedbackEvent[] = [];
  for (const event of events) {
    const key = eventKey(event.eventId);
    (known.has(key) ? duplicates : applied).push(event);
    known.add(key);
  }
  return { applied, duplicates };
}

/**
 * The learner's state that training starts from: a new one when the adapter does not fit the
 * settings or the model.
 */
function startOf(
  previous: StoredAdapter | undefined,
  settings: FunctionSettings,
  model: Model,
): LearnerState {
  if (previous !== undefined && canContinue(previous, settings, model)) return previous.state;
  const { embeddingDim, rank } = settings;
  return learnerOf(settings.learner).create(model, { embeddingDim, rank, scale: scaleOf(settings) });
}

function scaleOf({ scalingFactor, rank }: FunctionSettings): number {
  return scalingFactor / rank;
}

type Learned = ReturnType<typeof learn>;

function episodeOf(
  version: number,
  applied: readonly FeedbackEvent[],
  { population, samplesEmbeddings }: SharedLearning,
  { userKey, settings, now }: Update,
  {
    predictions,
    residuals,
    attributions,
    hyperparameters,
    samplesSeen,
  }: Learned & { hyperparameters: Episode['hyperparameters'] | undefined; samplesSeen: number },
): Episode {
  const interactions = applied.flatMap((event) => event.interactions);
  const embeddings = samplesEmbeddings
    ? sampleOfUpdate(
        userKey,
        version,
        interactions.map(({ embedding }) => embedding),
      )
    : [];
  return {
    userKey,
    version,
    cell: cellOf(settings),
    committedAt: now,
    context: {
      events: applied.length,
      interactions: interactions.length,
      samplesSeen,
      skillsVersion: population.version,
    },
    outcome: outcomeOf(predictions, hyperparameters !== undefined),
    residuals,
    ...(hyperparameters === undefined ? {} : { hyperparameters }),
    ...(embeddings.length > 0 ? { embeddings } : {}),
    ...(attributions.length > 0 ? { attributions } : {}),
    ...(isHeldOut(userKey, settings.holdout) ? { heldOut: true } : {}),
  };
}

function adapterOf(
  previous: StoredAdapter | undefined,
  applied: readonly FeedbackEvent[],
  model: Model,
  episode: Episode,
  { userKey, settings, now }: Update,
  { state, recent }: Learned,
): StoredAdapter {
  const { basis, b, offset } = learnerOf(state.learner).solve(state, model);
  return {
    userKey,
    version: episode.version,
    createdAt: previous?.createdAt ?? now,
    updatedAt: now,
    embeddingModel: settings.embeddingModel,
    embeddingDim: settings.embeddingDim,
    rank: settings.rank,
    scale: scaleOf(settings),
    state,
    a: basis?.a ?? new Float32Array(0),
    weights: { b, offset },
    skillsVersion: episode.context.skillsVersion,
    recentEvents: addRecentEvents(
      previous?.recentEvents ?? new BigUint64Array(0),
      applied.map(({ eventId }) => eventKey(eventId)),
    ),
    recentItems: recent,
    lastEpisode: episode,
  };
}

/** Keys of an event's items, in the order of its interactions; undefined without an item id. */
type ItemKeys = readonly (bigint | undefined)[];

/**
 * Trains on events one after the other, and collects what the adapter and the episode record about
 * their items.
 */
function learn(
  start: LearnerState,
  events: readonly FeedbackEvent[],
  model: Model,
  effects: ItemEffects,
  recentItems: RecentItems,
) {
  const learner = learnerOf(start.learner);
  let state = start;
  let recent = recentItems;
  const predictions: PredictedReward[] = [];
  const residuals: ItemResidual[] = [];
  const attributions: Attribution[] = [];
  for (const event of events) {
    const keys = event.interactions.map(({ itemId }) => (itemId === undefined ? undefined : itemKey(itemId)));
    const trained: TrainingInteraction[] = event.interactions.map(({ itemId: _, ...interaction }, i) => ({
      ...interaction,
      itemEffect: effectOfItem(effects, keys[i]),
    }));
    const training: Training<LearnerState> = learner.train(state, model, trained);
    // Where users only pick items, residuals count picks, and equal rewards cannot follow item
    // effects.
    if (model.choice || agreesWithOthers(recent))
      residuals.push(...residualsOf(event, keys, training.predictions, state.record.count, recent));
    recent = addRecentItems(recent, meetingsOf(event, keys, trained));
    state = training.state;
    predictions.push(...training.predictions);
    event.interactions.forEach(({ recommendationId, reward = null }, i) => {
      const itemKey = keys[i];
      if (itemKey !== undefined && recommendationId !== undefined)
        attributions.push({ recommendationId, itemKey, reward });
    });
  }
  return { state, predictions, residuals, recent, attributions: attributions.slice(-MOST_ATTRIBUTIONS) };
}

function meetingsOf(
  { interactions, occurredAt }: FeedbackEvent,
  keys: ItemKeys,
  trained: readonly TrainingInteraction[],
): Meeting[] {
  const at = Math.max(0, Math.floor(Date.parse(occurredAt) / 1_000));
  return interactions.flatMap((interaction, i) => {
    const { reward = null } = interaction;
    const key = keys[i];
    if (key === undefined) return [];
    const { itemEffect } = trained[i]!;
    return [{ key, at, kind: kindOf(interaction), reward, itemEffect }];
  });
}

function kindOf(interaction: Interaction): Meeting['kind'] {
  if (interaction.reward === undefined) return 'target';
  return interaction.watched ? 'watch' : 'reward';
}

/**
 * Noise variance over the variance of users' offsets: after so many rewards, half of an offset is
 * known.
 */
const OFFSET_HALF_KNOWN = 2;

/**
 * The residuals of an event for the items on which the user has a vote. The part that all rewards
 * of the event have in common is the user's offset as far as earlier rewards do not tell it (best
 * linear unbiased prediction; Robinson 1991), so it is subtracted.
 * @param rewardsBefore number of the user's earlier rewards
 */
function residualsOf(
  { interactions }: FeedbackEvent,
  keys: ItemKeys,
  predictions: readonly PredictedReward[],
  rewardsBefore: number,
  recent: RecentItems,
): ItemResidual[] {
  const surprise = predictions.reduce((sum, { reward, predicted }) => sum + reward - predicted, 0);
  const offset = surprise / (predictions.length + rewardsBefore + OFFSET_HALF_KNOWN);
  const residuals = new Map<bigint, number>();
  const rewarded = keys.filter((_, i) => interactions[i]!.reward !== undefined);
  rewarded.forEach((key, i) => {
    if (key === undefined || residuals.has(key) || !hasVote(recent, key)) return;
    residuals.set(key, Math.fround(bounded(predictions[i]!.itemResidual - offset)));
  });
  return Array.from(residuals, ([itemKey, residual]) => ({ itemKey, residual }));
}

/** Rewards lie in [0, 1], so a larger residual is a prediction error. */
function bounded(residual: number): number {
  return Math.min(1, Math.max(-1, residual));
}
