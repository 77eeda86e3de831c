import { createHash } from 'node:crypto';
import { userKey } from '../../shared/config/user-key.ts';
import type { FeedbackEventInput } from '../../shared/feedback/event.ts';
import { type DatasetInteraction, type FeedbackDataset, holdOut } from './datasets/dataset.ts';

/** What to publish when, and what to hold out for ranking at the end. */
export interface ReplayPlan {
  readonly dataset: string;
  readonly items: ReadonlyMap<string, Float32Array>;
  readonly titles: ReadonlyMap<string, string>;
  /** Consolidation follows every round, when the queue is empty. */
  readonly rounds: readonly (readonly FeedbackEventInput[])[];
  readonly heldOut: readonly HeldOutUser[];
  readonly interactions: number;
  readonly events: number;
  /** Equal for equal plans. A data folder continues only the replay that started it. */
  readonly id: string;
}

export interface HeldOutUser {
  readonly userId: string;
  readonly interactions: readonly DatasetInteraction[];
}

export const INTERACTIONS_PER_EVENT = 5;
const FIRST_ROUND = 40;
const ROUND_GROWTH = 1.5;

/**
 * All users' feedback in order of time, as events of up to five interactions of one user. The last
 * fifth of every user's interactions is held out. Rounds grow, so that few are needed.
 * @param eventsPerUser later events of a user are dropped
 */
export function planReplay(dataset: FeedbackDataset, eventsPerUser = Number.POSITIVE_INFINITY): ReplayPlan {
  const heldOut: HeldOutUser[] = [];
  const events: { at: number; event: FeedbackEventInput }[] = [];
  for (const { userId, interactions } of dataset.users) {
    const { train, test } = holdOut(interactions);
    heldOut.push({ userId, interactions: test });
    const published = train.slice(0, eventsPerUser * INTERACTIONS_PER_EVENT);
    for (let start = 0; start < published.length; start += INTERACTIONS_PER_EVENT) {
      const part = published.slice(start, start + INTERACTIONS_PER_EVENT);
      const { at } = part[part.length - 1]!;
      events.push({ at, event: eventOf(userId, start / INTERACTIONS_PER_EVENT, part, at, dataset.items) });
    }
  }
  // The sort is stable, so that a user's events stay in order.
  events.sort((a, b) => a.at - b.at || inOrderOfText(a.event.userId, b.event.userId));
  const inOrder = events.map(({ event }) => event);
  return {
    dataset: dataset.name,
    items: dataset.items,
    titles: dataset.titles,
    rounds: roundsOf(inOrder),
    heldOut,
    interactions: inOrder.reduce((sum, { interactions }) => sum + interactions.length, 0),
    events: inOrder.length,
    id: idOf(inOrder),
  };
}

function eventOf(
  userId: string,
  index: number,
  interactions: readonly DatasetInteraction[],
  at: number,
  items: FeedbackDataset['items'],
): FeedbackEventInput {
  return {
    // From the user's key, because a user id may be as long as an event id.
    eventId: `${userKey(userId).slice(0, 32)}-${String(index).padStart(4, '0')}`,
    userId,
    occurredAt: new Date(at).toISOString(),
    interactions: interactions.map(({ itemId, reward }) => ({
      itemId,
      reward,
      embedding: items.get(itemId)!,
    })),
  };
}

function inOrderOfText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function roundsOf(events: readonly FeedbackEventInput[]): FeedbackEventInput[][] {
  const rounds: FeedbackEventInput[][] = [];
  let start = 0;
  let end = FIRST_ROUND;
  while (start < events.length) {
    // A remainder smaller than a first round joins the last one.
    if (events.length - end < FIRST_ROUND) end = events.length;
    rounds.push(events.slice(start, end));
    start = end;
    end = Math.ceil(end * ROUND_GROWTH);
  }
  return rounds;
}

function idOf(events: readonly FeedbackEventInput[]): string {
  const hash = createHash('sha256');
  for (const { eventId, occurredAt, interactions } of events) {
    hash.update(`${eventId} ${occurredAt}\n`);
    for (const { itemId, reward, embedding } of interactions) {
      hash.update(`${itemId} ${reward}\n`).update(Float32Array.from(embedding as Float32Array));
    }
  }
  return hash.digest('hex').slice(0, 16);
}
