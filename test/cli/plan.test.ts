import { describe, expect, test } from 'vitest';
import { simulate } from '../../cli/replay/datasets/simulator.ts';
import { planReplay } from '../../cli/replay/plan.ts';
import { encodeFeedbackEvent } from '../../shared/feedback/event.ts';

const dataset = simulate({ users: 30, items: 200, interactionsPerUser: 50, embeddingDim: 16, seed: 3 });

describe('the plan of a replay', () => {
  test('publishes the first four fifths of each user’s interactions in time order, and holds out the rest', () => {
    const plan = planReplay(dataset);
    const events = plan.rounds.flat();
    for (const { userId, interactions } of dataset.users) {
      const published = events
        .filter((event) => event.userId === userId)
        .flatMap((event) => event.interactions);
      const heldOut = plan.heldOut.find((user) => user.userId === userId)!.interactions;
      expect(published.map(({ itemId }) => itemId)).toEqual(
        interactions.slice(0, 40).map(({ itemId }) => itemId),
      );
      expect(heldOut.map(({ itemId }) => itemId)).toEqual(interactions.slice(40).map(({ itemId }) => itemId));
    }
    const times = events.map(({ occurredAt }) => occurredAt);
    expect(times).toEqual(times.toSorted());
    expect({ events: plan.events, interactions: plan.interactions }).toEqual({
      events: 30 * 8,
      interactions: 30 * 40,
    });
  });

  test('gives every event an id of its own', () => {
    const ids = planReplay(dataset)
      .rounds.flat()
      .map(({ eventId }) => eventId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  test('makes events that the queue accepts, even for ids of the maximum length', () => {
    const users = dataset.users.map(({ interactions }, i) => ({
      userId: `${'\u{1F600}'.repeat(126)}${i + 10}`,
      interactions,
    }));
    const events = planReplay({ ...dataset, users }).rounds.flat();
    expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(30 * 8);
    for (const event of events) expect(() => encodeFeedbackEvent(event, 16)).not.toThrow();
  });

  test('grows its rounds and leaves no small remainder', () => {
    expect(planReplay(dataset).rounds.map((round) => round.length)).toEqual([40, 20, 30, 45, 105]);
  });

  test('drops events beyond the maximum per user', () => {
    const plan = planReplay(dataset, 3);
    expect(plan.events).toBe(30 * 3);
    expect(plan.heldOut.every(({ interactions }) => interactions.length === 10)).toBe(true);
  });

  test('has the same id only for the same events', () => {
    const other = simulate({ users: 30, items: 200, interactionsPerUser: 50, embeddingDim: 16, seed: 4 });
    expect(planReplay(dataset).id).toBe(planReplay(dataset).id);
    expect(planReplay(dataset, 3).id).not.toBe(planReplay(dataset).id);
    expect(planReplay(other).id).not.toBe(planReplay(dataset).id);
  });
});
