import { describe, expect, it } from 'vitest';
import { addRecentItems, type Meeting, NO_RECENT_ITEMS } from '../../../shared/adapters/recent-items.ts';
import { agreesWithOthers, hasVote } from '../../../shared/adapters/votes.ts';
import { createRandom } from '../../../shared/lora/random.ts';

/** A user with this many rewards, on items whose effects have a standard deviation of .1. */
function recentOf(rewardOf: (effect: number, random: () => number) => number, rewards = 40) {
  const random = createRandom('votes');
  const met = Array.from({ length: rewards }, (_, i): Meeting => {
    const itemEffect = 0.1 * random.normal();
    const reward = rewardOf(itemEffect, () => random.next());
    return { key: BigInt(i), at: 1, kind: 'reward', reward, itemEffect };
  });
  return addRecentItems(NO_RECENT_ITEMS, met);
}

describe('agreesWithOthers', () => {
  it.each([
    ['thinks what others think', (effect: number) => 0.6 + effect, true],
    ['is stricter than others', (effect: number) => 0.2 + effect, true],
    ['says the opposite', (effect: number) => 0.6 - effect, false],
    ['gives 0 to everything', () => 0, false],
    ['gives 1 to everything', () => 1, false],
  ])('of a user who %s is %s', (_, rewardOf, expected) => {
    expect(agreesWithOthers(recentOf(rewardOf))).toBe(expected);
  });

  it('is true for a user with little or no feedback', () => {
    expect(agreesWithOthers(NO_RECENT_ITEMS)).toBe(true);
    expect(agreesWithOthers(recentOf((effect) => 0.6 - effect, 1))).toBe(true);
  });

  it('is true for almost all users with noisy rewards, and for few users with random rewards', () => {
    const agreeing = (slope: number) => {
      const users = Array.from({ length: 200 }, (_, user) => {
        const random = createRandom(`user ${user}`);
        const met = Array.from({ length: 40 }, (_, i): Meeting => {
          const itemEffect = 0.1 * random.normal();
          const reward = 0.6 + slope * itemEffect + 0.17 * random.normal();
          return { key: BigInt(i), at: 1, kind: 'reward', reward, itemEffect };
        });
        return addRecentItems(NO_RECENT_ITEMS, met);
      });
      return users.filter(agreesWithOthers).length / 200;
    };
    expect(agreeing(1)).toBeGreaterThan(0.95);
    expect(agreeing(0)).toBeLessThan(0.25);
    expect(agreeing(-1)).toBeLessThan(0.01);
  });

  it('is true while item effects are unknown, as in feedback of clicks only', () => {
    const met = Array.from(
      { length: 100 },
      (_, i): Meeting => ({ key: BigInt(i), at: 1, kind: 'reward', reward: 1, itemEffect: 0 }),
    );
    expect(agreesWithOthers(addRecentItems(NO_RECENT_ITEMS, met))).toBe(true);
  });
});

describe('hasVote', () => {
  it('is once per item, and for no further item when the adapter remembers as many as it can', () => {
    const recent = recentOf(() => 0.5, 1_023);
    expect([hasVote(recent, 5n), hasVote(recent, 5_000n)]).toEqual([false, true]);
    expect(
      hasVote(
        recentOf(() => 0.5, 1_024),
        5_000n,
      ),
    ).toBe(false);
  });
});
