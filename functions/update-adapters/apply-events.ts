import type { StoredAdapter } from '../../shared/adapters/adapter-object.ts';
import { canContinue } from '../../shared/adapters/compatibility.ts';
import { addRecentEvents, eventKey } from '../../shared/adapters/recent-events.ts';
import { addRecentInteractions, type RecentInteraction } from '../../shared/adapters/recent-interactions.ts';
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
  type ItemCorrection,
  type ItemResidual,
  itemKey,
  MOST_ATTRIBUTIONS,
} from '../../shared/episodes/episode.ts';
import { outcomeOf } from '../../shared/episodes/outcome.ts';
import type { FeedbackEvent } from '../../shared/feedback/event.ts';
import { type LearnerState, learnerOf } from '../../shared/lora/learner.ts';
import { rewardsAreWeights } from '../../shared/lora/pick-weights.ts';
import type { PredictedReward } from '../../shared/lora/prequential.ts';
import type { Model, Training, TrainingInteraction } from '../../shared/lora/training.ts';
import { sampleOfUpdate } from '../../shared/population/embedding-sample.ts';
import { hyperparametersFor } from '../../shared/population/exploration.ts';
import { isHeldOut } from '../../shared/population/holdout.ts';
import { effectOfItem, type ItemEffects } from '../../shared/population/population-model.ts';
import { learningTo, type SharedLearning } from '../../shared/population/shared-learning.ts';
import {
  correctKnown,
  type KeyedInteraction,
  keyOf,
  kindOf,
  type Progress,
  secondsOf,
  storedResidual,
} from './corrections.ts';

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
  const state = startOf(previous, settings, model);
  const start = {
    state,
    recent: previous?.recentItems ?? NO_RECENT_ITEMS,
    // Of a user who starts anew nothing is left to be corrected.
    interactions: state === previous?.state ? (previous.recentInteractions ?? []) : [],
  };
  const learned = learn(start, applied, model, population.items);
  const episode = episodeOf((previous?.version ?? 0) + 1, applied, learning, update, {
    ...learned,
    hyperparameters,
    samplesSeen: state.record.count,
  });
  const { choice } = learningTo('scores', learning).model;
  const toServe = { ...model, choice: choice ?? null };
  return { adapter: adapterOf(previous, applied, toServe, episode, update, learned), applied, duplicates };
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
    corrections,
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
    ...(corrections.length > 0 ? { corrections } : {}),
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
  { state, recent, interactions }: Learned,
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
    ...(interactions.length > 0 ? { recentInteractions: interactions } : {}),
    lastEpisode: episode,
  };
}

/**
 * Trains on events one after the other, and collects what the adapter and the episode record about
 * their items.
 */
function learn(start: Progress, events: readonly FeedbackEvent[], model: Model, effects: ItemEffects) {
  const learner = learnerOf(start.state.learner);
  let progress = start;
  const predictions: PredictedReward[] = [];
  const residuals: ItemResidual[] = [];
  const corrections: ItemCorrection[] = [];
  const attributions: Attribution[] = [];
  for (const event of events) {
    const keyed = event.interactions.map((interaction) => ({
      interaction,
      key: interaction.itemId === undefined ? undefined : itemKey(interaction.itemId),
    }));
    const at = Date.parse(event.occurredAt);
    const corrected = correctKnown(progress, keyed, at, model);
    const { fresh } = corrected;
    const { state, recent, interactions } = corrected.progress;
    corrections.push(...corrected.corrections);
    const trained: TrainingInteraction[] = fresh.map(
      ({ interaction: { itemId: _, ...interaction }, key }) => ({
        ...interaction,
        itemEffect: effectOfItem(effects, key),
      }),
    );
    const training: Training<LearnerState> = learner.train(state, model, trained);
    const counts = countsPicks(model.choice) || agreesWithOthers(recent);
    const told = residualsOf(fresh, training.predictions, state.record.count, recent, counts);
    residuals.push(...votesOf(fresh, told));
    progress = {
      state: training.state,
      recent: addRecentItems(recent, meetingsOf(fresh, at, trained)),
      interactions: addRecentInteractions(interactions, namedOf(fresh, at, training.predictions, told)),
    };
    predictions.push(...training.predictions);
    for (const { interaction, key } of keyed) {
      const { recommendationId, reward = null } = interaction;
      if (key !== undefined && recommendationId !== undefined)
        attributions.push({ recommendationId, itemKey: key, reward });
    }
  }
  return {
    ...progress,
    predictions,
    residuals,
    corrections,
    attributions: attributions.slice(-MOST_ATTRIBUTIONS),
  };
}

/**
 * Whether a residual only says how often an item is picked. Equal rewards cannot follow item
 * effects. Clicks among items shown in vain need not follow them either: users click what they
 * looked for, and others choose what is shown.
 */
function countsPicks(choice: Model['choice']): boolean {
  return choice != null && rewardsAreWeights(choice.rewards);
}

function meetingsOf(
  interactions: readonly KeyedInteraction[],
  at: number,
  trained: readonly TrainingInteraction[],
): Meeting[] {
  return interactions.flatMap(({ interaction, key }, i) => {
    if (key === undefined) return [];
    const { reward = null } = interaction;
    const { itemEffect } = trained[i]!;
    return [{ key, at: secondsOf(at), kind: kindOf(interaction), reward, itemEffect }];
  });
}

/** Interactions with an id, as a later event can correct them. */
function namedOf(
  interactions: readonly KeyedInteraction[],
  at: number,
  predictions: readonly PredictedReward[],
  residuals: readonly (number | null)[],
): RecentInteraction[] {
  return interactions.filter(isRewarded).flatMap(({ interaction }, i) => {
    const key = keyOf(interaction);
    const learned = predictions[i]!.learned;
    return key === undefined || learned === undefined
      ? []
      : [{ ...learned, key, at, residual: residuals[i]! }];
  });
}

function isRewarded({ interaction }: KeyedInteraction): boolean {
  return interaction.reward !== undefined;
}

/**
 * Noise variance over the variance of users' offsets: after so many rewards, half of an offset is
 * known.
 */
const OFFSET_HALF_KNOWN = 2;

/**
 * What the rewards of an event tell about their items; null where the user has no vote on the item.
 * The part that all rewards of the event have in common is the user's offset as far as earlier
 * rewards do not tell it (best linear unbiased prediction; Robinson 1991), so it is subtracted.
 * @param rewardsBefore number of the user's earlier rewards
 * @param counts whether the user has a vote at all
 */
function residualsOf(
  interactions: readonly KeyedInteraction[],
  predictions: readonly PredictedReward[],
  rewardsBefore: number,
  recent: RecentItems,
  counts: boolean,
): (number | null)[] {
  const surprise = predictions.reduce((sum, { reward, predicted }) => sum + reward - predicted, 0);
  const offset = surprise / (predictions.length + rewardsBefore + OFFSET_HALF_KNOWN);
  const voted = new Set<bigint>();
  return interactions.filter(isRewarded).map(({ key }, i) => {
    if (key === undefined || !counts || voted.has(key) || !hasVote(recent, key)) return null;
    voted.add(key);
    return predictions[i]!.itemResidual - offset;
  });
}

function votesOf(
  interactions: readonly KeyedInteraction[],
  residuals: readonly (number | null)[],
): ItemResidual[] {
  return interactions.filter(isRewarded).flatMap(({ key }, i) => {
    const residual = residuals[i]!;
    return residual === null || key === undefined
      ? []
      : [{ itemKey: key, residual: storedResidual(residual) }];
  });
}
