import { describe, expect, test } from 'vitest';
import { createRandom } from '../../../shared/lora/random.ts';
import {
  addSittings,
  bestHalfLife,
  HALF_LIVES,
  NO_RECENT_PICKS,
  popularityBy,
  type RecentPicks,
  type Sitting,
} from '../../../shared/lora/recent-picks.ts';

const DAY = 86_400_000;
const START = 1_700_000_000_000;
const ITEMS = 60;

/** Counts day by day, as consolidation does. */
function play(days: number, sittingsOf: (day: number) => Sitting[]) {
  let recent: RecentPicks = NO_RECENT_PICKS;
  const counts = new Map<bigint, number>();
  for (let day = 0; day < days; day++) {
    const sittings = sittingsOf(day);
    recent = addSittings(recent, sittings, {
      total: (key) => counts.get(key) ?? 0,
      kept: () => true,
      now: START + day * DAY,
    });
    for (const { items } of sittings) for (const key of items) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return { recent, counts, total: counts.values().reduce((sum, count) => sum + count, 0) };
}

/** Ten users a day, who pick three of the ten items in fashion; it changes after so many days. */
function fashion(period: number, seed: string) {
  const random = createRandom(seed);
  const inFashion = (day: number) =>
    Array.from({ length: 10 }, (_, i) => (Math.floor(day / period) * 7 + i) % ITEMS);
  return (day: number): Sitting[] =>
    Array.from({ length: 10 }, (_, user) => ({
      userKey: `${day} ${user}`,
      at: START + day * DAY,
      items: random.shuffle(inFashion(day)).slice(0, 3).map(BigInt),
    }));
}

describe('counts that forget', () => {
  test('halve within their half-life', () => {
    const at = (day: number, item: bigint): Sitting => ({
      userKey: 'u',
      at: START + day * DAY,
      items: [item],
    });
    const rules = { total: () => 0, kept: () => true, now: START + 7 * DAY };
    const { keys, counts } = addSittings(
      addSittings(NO_RECENT_PICKS, [at(0, 1n)], rules),
      [at(7, 2n)],
      rules,
    );
    expect([...keys]).toEqual([1n, 2n]);
    HALF_LIVES.forEach((days, h) => {
      expect(counts[h]).toBeCloseTo(2 ** (-7 / days), 5);
      expect(counts[HALF_LIVES.length + h]).toBe(1);
    });
  });

  test('do not age by a time in the future, and recover from one that was stored', () => {
    const at = (day: number, userKey: string): Sitting => ({ userKey, at: START + day * DAY, items: [1n] });
    const on = (day: number) => ({ total: () => 0, kept: () => true, now: START + day * DAY });
    const first = addSittings(NO_RECENT_PICKS, [at(0, 'ada')], on(0));
    const next = addSittings(first, [at(36_500, 'clock of the next century')], on(7));
    expect(next.at).toBe(START + 7 * DAY);
    expect(next.counts[0]).toBeCloseTo(1.5, 5);
    const stored = { ...next, at: START + 36_500 * DAY };
    const recovered = addSittings(stored, [at(7, 'ben')], on(7));
    expect(recovered.at).toBe(START + 7 * DAY);
    expect(recovered.counts[0]).toBeCloseTo(2.5, 5);
  });

  test('do not depend on the order of sittings, and keep only the items asked for', () => {
    const sittings = fashion(3, 'order')(0).concat(fashion(3, 'order')(9));
    const rules = { total: () => 1, kept: (key: bigint) => key !== 3n, now: START + 9 * DAY };
    const forwards = addSittings(NO_RECENT_PICKS, sittings, rules);
    expect(addSittings(NO_RECENT_PICKS, sittings.toReversed(), rules)).toEqual(forwards);
    expect(forwards.keys).not.toContain(3n);
  });

  test('are used where fashions change, with a half-life that fits', () => {
    const { recent, counts, total } = play(80, fashion(8, 'weekly'));
    expect(HALF_LIVES[bestHalfLife(recent)!]).toBe(7);
    const popularity = popularityBy(recent, total);
    const [now, before] = [(9 * 7 + 5) % ITEMS, (6 * 7) % ITEMS].map(BigInt);
    expect(popularity(now!, counts.get(now!)!)).toBeGreaterThan(
      2 * popularity(before!, counts.get(before!)!),
    );
    const sum = [...counts].reduce((all, [key, count]) => all + popularity(key, count), 0);
    expect(sum).toBeCloseTo(total, 1);
  });

  test('are found by their whole gain before every step between half-lives is certain', () => {
    const { recent } = play(26, fashion(8, 'weekly'));
    const { gain, squares } = recent.records[HALF_LIVES.indexOf(180)]!;
    expect(gain).toBeLessThan(3 * Math.sqrt(squares));
    expect(HALF_LIVES[bestHalfLife(recent)!]).toBe(7);
  });

  test('are not used where nothing changes, nor before 20 users picked again', () => {
    expect(bestHalfLife(play(80, fashion(1e9, 'constant')).recent)).toBeUndefined();
    expect(bestHalfLife(play(2, fashion(1, 'young')).recent)).toBeUndefined();
    expect(popularityBy(NO_RECENT_PICKS, 100)(5n, 42)).toBe(42);
  });

  test('a user who picks more often than others weighs no more in the choice of the half-life', () => {
    const steady = fashion(1e9, 'steady');
    const flood = (day: number): Sitting[] =>
      Array.from({ length: 200 }, () => ({
        userKey: 'flood',
        at: START + day * DAY,
        items: [BigInt(ITEMS + (day >> 3))],
      }));
    const { recent } = play(40, (day) => [...steady(day), ...flood(day)]);
    expect(recent.records[0]!.users).toBe(39 * 11);
    expect(bestHalfLife(recent)).not.toBe(0);
  });
});
