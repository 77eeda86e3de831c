import type { StoredAdapter } from '../../shared/adapters/adapter-object.ts';
import { canContinue } from '../../shared/adapters/compatibility.ts';
import { eventKey, remember } from '../../shared/adapters/recent-events.ts';
import { type Meeting, NO_RECENT_ITEMS, rememberItems } from '../../shared/adapters/recent-items.ts';
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

/** What some events of one user change: the next version of the adapter, or nothing when all of them were applied before. */
export interface Applied {
  readonly adapter: StoredAdapter | undefined;
  readonly applied: readonly FeedbackEvent[];
  readonly duplicates: readonly FeedbackEvent[];
}

/**
 * The next version of a user's adapter. Pure: the same arguments give the same bytes. Events are learned one by one in the given
 * order, each predicted before it is learned, so that where updates were cut does not show in the learned state.
 * @param previous undefined for a user without an adapter
 * @param now epoch milliseconds
 */
export function applyEvents(
  previous: StoredAdapter | undefined,
  events: readonly FeedbackEvent[],
  learning: SharedLearning,
  { userKey, settings, now }: { userKey: string; settings: FunctionSettings; now: number },
): Applied {
  const known = new Set(previous?.recentEvents);
  const applied: FeedbackEvent[] = [];
  const duplicates: FeedbackEvent[] = [];
  for (const event of events) {
    const key = eventKey(event.eventId);
    (known.has(key) ? duplicates : applied).push(event);
    known.add(key);
  }
  if (applied.length === 0) return { adapter: undefined, applied, duplicates };

  const { population } = learning;
  const hyperparameters = hyperparametersFor(userKey, settings, population.recommended);
  const model = hyperparameters === undefined ? learning.model : { ...learning.model, hyperparameters };
  const scale = settings.scalingFactor / settings.rank;
  const shape = { embeddingDim: settings.embeddingDim, rank: settings.rank, scale };
  const continued = previous !== undefined && canContinue(previous, settings, model) ? previous : undefined;
  const start: LearnerState = continued?.state ?? learnerOf(settings.learner).create(model, shape);
  const { state, predictions, residuals, meetings, attributions } = learn(
    start,
    applied,
    model,
    population.items,
  );
  const { basis, b, offset } = learnerOf(state.learner).solve(state, model);
  const version = (previous?.version ?? 0) + 1;
  const interactions = applied.flatMap((event) => event.interactions);
  const embeddings = learning.samplesEmbeddings
    ? sampleOfUpdate(
        userKey,
        version,
        interactions.map(({ embedding }) => embedding),
      )
    : [];
  const episode: Episode = {
    userKey,
    version,
    cell: cellOf(settings),
    committedAt: now,
    context: {
      events: applied.length,
      interactions: interactions.length,
      samplesSeen: start.record.count,
      skillsVersion: population.version,
    },
    outcome: outcomeOf(predictions, hyperparameters !== undefined),
    residuals,
    ...(hyperparameters === undefined ? {} : { hyperparameters }),
    ...(embeddings.length > 0 ? { embeddings } : {}),
    ...(attributions.length > 0 ? { attributions } : {}),
    ...(isHeldOut(userKey, settings.holdout) ? { heldOut: true } : {}),
  };
  const adapter: StoredAdapter = {
    userKey,
    version,
    createdAt: previous?.createdAt ?? now,
    updatedAt: now,
    embeddingModel: settings.embeddingModel,
    embeddingDim: settings.embeddingDim,
    rank: settings.rank,
    scale,
    state,
    a: basis?.a ?? new Float32Array(0),
    weights: { b, offset },
    skillsVersion: population.version,
    recentEvents: remember(
      previous?.recentEvents ?? new BigUint64Array(0),
      applied.map(({ eventId }) => eventKey(eventId)),
    ),
    recentItems: rememberItems(previous?.recentItems ?? NO_RECENT_ITEMS, meetings),
    lastEpisode: episode,
  };
  return { adapter, applied, duplicates };
}

/** Trains on events one after the other, and gathers what is to be remembered of their items. */
function learn(start: LearnerState, events: readonly FeedbackEvent[], model: Model, effects: ItemEffects) {
  const learner = learnerOf(start.learner);
  let state = start;
  const predictions: PredictedReward[] = [];
  const residuals: ItemResidual[] = [];
  const meetings: Meeting[] = [];
  const attributions: Attribution[] = [];
  for (const { interactions, occurredAt } of events) {
    const at = Math.max(0, Math.floor(Date.parse(occurredAt) / 1_000));
    const trained: TrainingInteraction[] = interactions.map(({ itemId, ...interaction }) => ({
      ...interaction,
      itemEffect: effectOfItem(effects, itemId),
    }));
    const training: Training<LearnerState> = learner.train(state, model, trained);
    state = training.state;
    predictions.push(...training.predictions);
    let rewards = 0;
    interactions.forEach((interaction, i) => {
      const prediction = interaction.reward === undefined ? undefined : training.predictions[rewards++]!;
      if (interaction.itemId === undefined) return;
      const key = itemKey(interaction.itemId);
      const reward = interaction.reward ?? null;
      meetings.push({ key, at, kind: kindOf(interaction), reward, itemEffect: trained[i]!.itemEffect });
      if (prediction !== undefined)
        residuals.push({ itemKey: key, residual: Math.fround(bounded(prediction.itemResidual)) });
      const { recommendationId } = interaction;
      if (recommendationId !== undefined) attributions.push({ recommendationId, itemKey: key, reward });
    });
  }
  return { state, predictions, residuals, meetings, attributions: attributions.slice(-MOST_ATTRIBUTIONS) };
}

function kindOf(interaction: Interaction): Meeting['kind'] {
  if (interaction.reward === undefined) return 'target';
  return interaction.watched ? 'watch' : 'reward';
}

/** Rewards lie in [0, 1]: a larger residual is the fault of the prediction, and no user may move an item by more than that. */
function bounded(residual: number): number {
  return Math.min(1, Math.max(-1, residual));
}
