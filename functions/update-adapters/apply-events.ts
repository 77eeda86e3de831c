import type { StoredAdapter } from '../../shared/adapters/adapter-object.ts';
import { canContinue } from '../../shared/adapters/compatibility.ts';
import { eventKey, remember } from '../../shared/adapters/recent-events.ts';
import { rememberItems } from '../../shared/adapters/recent-items.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import { cellOf, type Episode, type ItemResidual, itemKey } from '../../shared/episodes/episode.ts';
import { outcomeOf } from '../../shared/episodes/outcome.ts';
import type { FeedbackEvent } from '../../shared/feedback/event.ts';
import { type LearnerState, learnerOf } from '../../shared/lora/learner.ts';
import type { PredictedReward } from '../../shared/lora/prequential.ts';
import type { TrainingInteraction } from '../../shared/lora/training.ts';
import { sampleOfUpdate } from '../../shared/population/embedding-sample.ts';
import { hyperparametersFor } from '../../shared/population/exploration.ts';
import { isHeldOut } from '../../shared/population/holdout.ts';
import { effectOfItem } from '../../shared/population/population-model.ts';
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
  let state: LearnerState = continued?.state ?? learnerOf(settings.learner).create(model, shape);
  const learner = learnerOf(state.learner);
  const samplesSeen = state.record.count;
  const predictions: PredictedReward[] = [];
  const residuals: ItemResidual[] = [];
  for (const event of applied) {
    const training = learner.train(
      state,
      model,
      event.interactions.map(
        ({ itemId, ...interaction }): TrainingInteraction => ({
          ...interaction,
          itemEffect: effectOfItem(population.items, itemId),
        }),
      ),
    );
    state = training.state;
    predictions.push(...training.predictions);
    const rewarded = event.interactions.filter((interaction) => interaction.reward !== undefined);
    rewarded.forEach(({ itemId }, i) => {
      if (itemId === undefined) return;
      residuals.push({
        itemKey: itemKey(itemId),
        residual: Math.fround(bounded(training.predictions[i]!.itemResidual)),
      });
    });
  }
  const { basis, b, offset } = learner.solve(state, model);
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
      samplesSeen,
      skillsVersion: population.version,
    },
    outcome: outcomeOf(predictions, hyperparameters !== undefined),
    residuals,
    ...(hyperparameters === undefined ? {} : { hyperparameters }),
    ...(embeddings.length > 0 ? { embeddings } : {}),
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
    recentItems: rememberItems(
      previous?.recentItems ?? new BigUint64Array(0),
      interactions.flatMap(({ itemId }) => (itemId === undefined ? [] : [itemKey(itemId)])),
    ),
    lastEpisode: episode,
  };
  return { adapter, applied, duplicates };
}

/** Rewards lie in [0, 1]: a larger residual is the fault of the prediction, and no user may move an item by more than that. */
function bounded(residual: number): number {
  return Math.min(1, Math.max(-1, residual));
}
