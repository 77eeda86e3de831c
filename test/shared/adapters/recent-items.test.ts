import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addRecentItems,
  type Meeting,
  metItems,
  NO_RECENT_ITEMS,
  pickedItems,
  RECENT_ITEMS_KEPT,
  recentItemsOf,
} from '../../../shared/adapters/recent-items.ts';
import { INTERACTION_KINDS } from '../../../shared/interaction-kinds.ts';

const met = (key: bigint, more: Partial<Meeting> = {}): Meeting => ({
  key,
  at: 1_000,
  kind: 'reward',
  reward: 0.5,
  itemEffect: 0.125,
  ...more,
});

test('an item with a new interaction becomes the newest, with the sums of all its rewards', () => {
  const before = addRecentItems(NO_RECENT_ITEMS, [met(1n), met(2n), met(3n)]);
  const after = addRecentItems(before, [
    met(1n, { at: 2_000, kind: 'watch', reward: 1 }),
    met(4n, { kind: 'target', reward: null }),
    met(1n, { at: 1_500 }),
  ]);
  expect([...after.keys]).toEqual([2n, 3n, 4n, 1n]);
  expect([...after.lastAt]).toEqual([1_000, 1_000, 1_000, 2_000]);
  expect([...after.kinds]).toEqual([1, 1, 4, 3]);
  expect([...after.sums.subarray(6)]).toEqual([0, 0, 0, 3, 2, 0.375]);
});

test('the newest 1,024 items are kept', () => {
  const all = Array.from({ length: 1_500 }, (_, i) => met(BigInt(i)));
  const { keys, sums } = addRecentItems(NO_RECENT_ITEMS, all);
  expect([...keys]).toEqual(all.slice(-RECENT_ITEMS_KEPT).map(({ key }) => key));
  expect(sums).toHaveLength(3 * RECENT_ITEMS_KEPT);
});

test('the recent items do not depend on how updates were split', () => {
  const meeting = fc.record({
    key: fc.bigInt({ min: 0n, max: 1_200n }),
    at: fc.nat(2 ** 32 - 1),
    kind: fc.constantFrom(...INTERACTION_KINDS),
    reward: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    itemEffect: fc.double({ min: -1, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(meeting, { maxLength: 2_500, size: 'max' }), fc.nat(), (added, cut) => {
      const at = cut % (added.length + 1);
      const inTwo = addRecentItems(addRecentItems(NO_RECENT_ITEMS, added.slice(0, at)), added.slice(at));
      expect(inTwo).toEqual(addRecentItems(NO_RECENT_ITEMS, added));
    }),
    { numRuns: 20 },
  );
});

test('recent items can be selected by time and kind of interaction', () => {
  const recent = addRecentItems(NO_RECENT_ITEMS, [
    met(1n, { at: 100 }),
    met(2n, { at: 200, kind: 'watch' }),
    met(3n, { at: 300, kind: 'target', reward: null }),
    met(3n, { at: 50, kind: 'watch' }),
  ]);
  expect([...metItems(recent, {})]).toEqual([1n, 2n, 3n]);
  expect([...metItems(recent, { since: 200 })]).toEqual([2n, 3n]);
  expect([...metItems(recent, { kinds: ['watch'] })]).toEqual([2n, 3n]);
  expect([...metItems(recent, { kinds: ['reward', 'target'], since: 101 })]).toEqual([3n]);
});

test('a recent item without known time and kind matches every selection', () => {
  const older = recentItemsOf(BigUint64Array.of(7n));
  expect([...metItems(older, { since: 1e9, kinds: ['watch'] })]).toEqual([7n]);
});

test("an item counts as picked when its reward is at least the user's average", () => {
  const clicks = addRecentItems(NO_RECENT_ITEMS, [met(1n, { reward: 1 }), met(2n, { reward: 1 })]);
  expect([...pickedItems(clicks)]).toEqual([1n, 2n]);
  const shown = addRecentItems(clicks, [met(3n, { reward: 0 }), met(4n, { reward: 0 })]);
  expect([...pickedItems(shown)]).toEqual([1n, 2n]);
  const ratings = [0.9, 0.3, 0.7, 0.5, 0.6].map((reward, i) => met(BigInt(i), { reward }));
  expect([...pickedItems(addRecentItems(NO_RECENT_ITEMS, ratings))]).toEqual([0n, 2n, 4n]);
  const thirds = Array.from({ length: 30 }, (_, i) => met(BigInt(i), { reward: 1 / 3 }));
  expect(pickedItems(addRecentItems(NO_RECENT_ITEMS, thirds))).toHaveLength(30);
  const target = met(9n, { kind: 'target', reward: null });
  expect([...pickedItems(addRecentItems(clicks, [target]))]).toEqual([1n, 2n]);
  expect([...pickedItems(recentItemsOf(BigUint64Array.of(7n)))]).toEqual([7n]);
  expect(pickedItems(NO_RECENT_ITEMS)).toHaveLength(0);
});
