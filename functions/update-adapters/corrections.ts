import {
  interactionKey,
  type RecentInteraction,
  supersedes,
} from '../../shared/adapters/recent-interactions.ts';
import { correctRecentItem, type Meeting, type RecentItems } from '../../shared/adapters/recent-items.ts';
import type { ItemCorrection } from '../../shared/episodes/episode.ts';
import type { Interaction } from '../../shared/feedback/event.ts';
import { correctReward } from '../../shared/lora/correction.ts';
import type { LearnerState } from '../../shared/lora/learner.ts';
import type { Model } from '../../shared/lora/training.ts';

/** What events change of an adapter, besides the events themselves. */
export interface Progress {
  readonly state: LearnerState;
  readonly recent: RecentItems;
  /** Those that can be corrected, oldest first. */
  readonly interactions: readonly RecentInteraction[];
}

export interface KeyedInteraction {
  readonly interaction: Interaction;
  /** Key of its item; undefined without an item id. */
  readonly key: bigint | undefined;
}

/** Undefined for an interaction that cannot be corrected. */
export function keyOf({ interactionId, itemId, reward }: Interaction): bigint | undefined {
  return interactionId === undefined || reward === undefined
    ? undefined
    : interactionKey(interactionId, itemId);
}

/**
 * Corrects the rewards of interactions that are known, and passes the others on. Of interactions
 * with the same id in one event, the last counts.
 * @param interactions of one event
 * @param at time of the event, epoch milliseconds
 */
export function correctKnown(
  progress: Progress,
  interactions: readonly KeyedInteraction[],
  at: number,
  model: Model,
): { progress: Progress; corrections: readonly ItemCorrection[]; fresh: readonly KeyedInteraction[] } {
  let next = progress;
  const corrections: ItemCorrection[] = [];
  const fresh: KeyedInteraction[] = [];
  const keys = interactions.map(({ interaction }) => keyOf(interaction));
  interactions.forEach((interaction, i) => {
    const key = keys[i];
    if (key !== undefined && keys.lastIndexOf(key) !== i) return;
    const place = key === undefined ? -1 : next.interactions.findIndex((known) => known.key === key);
    if (place === -1) {
      fresh.push(interaction);
      return;
    }
    const corrected = correct(next, place, { ...interaction, at }, model);
    next = corrected.progress;
    corrections.push(...corrected.corrections);
  });
  return { progress: next, corrections, fresh };
}

function correct(
  progress: Progress,
  place: number,
  { interaction, key, at }: KeyedInteraction & { readonly at: number },
  model: Model,
): { progress: Progress; corrections: readonly ItemCorrection[] } {
  const { state, recent, interactions } = progress;
  const learned = interactions[place]!;
  const { embedding, reward } = interaction;
  const superseded = reward === undefined || !supersedes({ at, reward }, learned);
  // Only the learner 'bayesian' leaves anything that can be corrected.
  if (superseded || state.learner !== 'bayesian') return { progress, corrections: [] };
  const change = reward - learned.reward;
  const { residual } = learned;
  const known = { ...learned, reward, at, residual: residual === null ? null : residual + change };
  return {
    progress: {
      state: correctReward(state, model, { embedding, learned, reward }),
      recent:
        key === undefined
          ? recent
          : correctRecentItem(recent, { key, at: secondsOf(at), kind: kindOf(interaction) }, change),
      interactions: interactions.with(place, known),
    },
    corrections:
      key === undefined || residual === null || change === 0
        ? []
        : [{ itemKey: key, from: storedResidual(residual), to: storedResidual(residual + change) }],
  };
}

export function kindOf(interaction: Interaction): Meeting['kind'] {
  if (interaction.reward === undefined) return 'target';
  return interaction.watched ? 'watch' : 'reward';
}

/**
 * Rewards lie in [0, 1], so a larger residual is a prediction error. A float32, as it is stored.
 */
export function storedResidual(residual: number): number {
  return Math.fround(Math.min(1, Math.max(-1, residual)));
}

/** Seconds since 1970, as times of items are stored. */
export function secondsOf(milliseconds: number): number {
  return Math.max(0, Math.floor(milliseconds / 1_000));
}
