import { describe, expect, it } from 'vitest';
import { simulate } from '../../../../cli/replay/datasets/simulator.ts';
import { InvalidInputError } from '../../../../shared/errors.ts';

const options = { users: 60, items: 300, interactionsPerUser: 40, embeddingDim: 64, seed: 1 };
const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const average = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

describe('simulate', () => {
  const dataset = simulate(options);
  const interactions = dataset.users.flatMap((user) => user.interactions);

  it('makes as many users, items and interactions as asked for', () => {
    expect(dataset.users).toHaveLength(60);
    expect(new Set(dataset.users.map(({ userId }) => userId)).size).toBe(60);
    expect(dataset.items.size).toBe(300);
    for (const { interactions } of dataset.users) {
      expect(new Set(interactions.map(({ itemId }) => itemId)).size).toBe(40);
      expect(interactions.every(({ itemId }) => dataset.items.has(itemId))).toBe(true);
    }
  });

  it('repeats itself under a seed, and keeps the first users when more are asked for', () => {
    expect(simulate(options)).toEqual(dataset);
    expect(simulate({ ...options, users: 5 }).users).toEqual(dataset.users.slice(0, 5));
    expect(simulate({ ...options, seed: 2 }).users).not.toEqual(dataset.users);
  });

  it('continues the same users when more interactions are asked for', () => {
    const shorter = simulate({ ...options, interactionsPerUser: 10 }).users;
    expect(shorter.map((user) => user.interactions)).toEqual(
      dataset.users.map((user) => user.interactions.slice(0, 10)),
    );
  });

  it('gives embeddings of unit length with a constant coordinate of square .25', () => {
    for (const embeddingDim of [16, 64, 384]) {
      for (const x of simulate({ ...options, users: 1, embeddingDim }).items.values()) {
        expect(x).toHaveLength(embeddingDim);
        expect(x[0]).toBe(0.5);
        expect(dot(x, x)).toBeCloseTo(1, 6);
      }
    }
  });

  it('puts items in clusters', () => {
    const embeddings = [...dataset.items.values()];
    const near = embeddings.map((x) => embeddings.filter((y) => y !== x && dot(x, y) > 0.7).length);
    expect(average(near)).toBeGreaterThan(5);
    expect(average(embeddings.map((x) => average(embeddings.map((y) => dot(x, y)))))).toBeLessThan(0.5);
  });

  it('gives half-star ratings spread about as those of real users, and rewards from them', () => {
    for (const { rating, reward } of interactions) {
      expect(Number.isInteger(rating! * 2) && rating! >= 0.5 && rating! <= 5).toBe(true);
      expect(reward).toBe((rating! - 0.5) / 4.5);
    }
    const rewards = interactions.map(({ reward }) => reward);
    const centre = average(rewards);
    const deviation = Math.sqrt(average(rewards.map((reward) => (reward - centre) ** 2)));
    expect(centre).toBeGreaterThan(0.55);
    expect(centre).toBeLessThan(0.8);
    expect(deviation).toBeGreaterThan(0.17);
    expect(deviation).toBeLessThan(0.26);
  });

  it('spaces the interactions of a user in time', () => {
    for (const { interactions } of dataset.users) {
      const times = interactions.map(({ at }) => at);
      expect(times.every((at, i) => Number.isSafeInteger(at) && (i === 0 || at > times[i - 1]!))).toBe(true);
    }
    expect(new Set(dataset.users.map((user) => user.interactions[0]!.at)).size).toBeGreaterThan(50);
  });

  it('lets users meet popular items more often', () => {
    const met = Map.groupBy(interactions, ({ itemId }) => itemId);
    const times = [...dataset.items.keys()].map((id) => met.get(id)?.length ?? 0);
    expect(average(times.slice(0, 30))).toBeGreaterThan(3 * average(times.slice(-100)));
  });

  it('has tastes that correlate with item similarity, beyond user and item means', () => {
    // Products of the residuals of two of a user's ratings go with the similarity of their items.
    const mean = average(interactions.map(({ reward }) => reward));
    const itemMeans = new Map(
      [...Map.groupBy(interactions, ({ itemId }) => itemId)].map(([id, all]) => [
        id,
        average(all.map((i) => i.reward)) - mean,
      ]),
    );
    const alike: number[] = [];
    const unlike: number[] = [];
    for (const { interactions: own } of dataset.users) {
      const residuals = own.map(({ itemId, reward }) => reward - itemMeans.get(itemId)!);
      const centre = average(residuals);
      own.forEach((a, i) => {
        own.slice(0, i).forEach((b, j) => {
          const similarity = dot(dataset.items.get(a.itemId)!, dataset.items.get(b.itemId)!);
          (similarity > 0.6 ? alike : unlike).push((residuals[i]! - centre) * (residuals[j]! - centre));
        });
      });
    }
    expect(alike.length).toBeGreaterThan(500);
    expect(average(alike) - average(unlike)).toBeGreaterThan(0.003);
  });

  it.each([
    ['users', 0],
    ['items', 1.5],
    ['interactionsPerUser', 301],
    ['embeddingDim', 15],
    ['embeddingDim', 4097],
  ])('refuses %s of %d', (field, value) => {
    expect(() => simulate({ ...options, [field]: value })).toThrow(InvalidInputError);
    expect(() => simulate({ ...options, [field]: value })).toThrow(new RegExp(`^${field}: found ${value}`));
  });
});
