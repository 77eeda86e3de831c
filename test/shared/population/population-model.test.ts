import { expect, test } from 'vitest';
import { prepareChoice } from '../../../shared/lora/choice.ts';
import { NO_RECENT_PICKS, popularityBy, type RecentPicks } from '../../../shared/lora/recent-picks.ts';
import { packedDiagonal } from '../../../shared/lora/symmetric.ts';
import {
  initialPopulationModel,
  itemPartOfKey,
  NO_ITEM_EFFECTS,
} from '../../../shared/population/population-model.ts';

const certain = { users: 100, gain: 50, squares: 26 };
const recent: RecentPicks = {
  at: 1,
  keys: BigUint64Array.of(1n, 2n),
  counts: Float32Array.of(0, 0, 0, 0, 3, 3, 3, 3),
  records: [certain, certain, certain, certain],
};
const nothing = { mean: Float64Array.of(0), covariance: packedDiagonal(Float64Array.of(1)) };
const picking = {
  ...initialPopulationModel(null),
  choice: prepareChoice(nothing, nothing, { perPick: 1, saturation: 0 }),
  items: {
    ...NO_ITEM_EFFECTS,
    sums: new Map([
      [1n, { sum: 0, count: 9 }],
      [2n, { sum: 0, count: 3 }],
    ]),
  },
};

test('an item that users pick of late is more popular than one that they picked before', () => {
  const before = { ...picking, recent: NO_RECENT_PICKS };
  expect(itemPartOfKey(before, 1n)).toBeCloseTo(Math.log(9.5 / 0.5), 12);
  const by = popularityBy(recent, 12);
  expect(by(2n, 3)).toBeCloseTo(9.75, 12);
  const after = { ...picking, recent };
  expect(itemPartOfKey(after, 2n)).toBeCloseTo(Math.log((by(2n, 3) + 0.5) / 0.5), 12);
  expect(itemPartOfKey(after, 2n)).toBeGreaterThan(itemPartOfKey(after, 1n));
  expect(itemPartOfKey(after, 3n)).toBe(0);
});
