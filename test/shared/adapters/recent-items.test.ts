import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { RECENT_ITEMS_KEPT, rememberItems } from '../../../shared/adapters/recent-items.ts';

const NONE = new BigUint64Array(0);

test('an item that is met again counts as met last', () => {
  expect([...rememberItems(BigUint64Array.of(1n, 2n, 3n), [1n, 4n, 1n])]).toEqual([2n, 3n, 4n, 1n]);
});

test('the newest 1,024 items are kept', () => {
  const all = Array.from({ length: 1_500 }, (_, i) => BigInt(i));
  expect([...rememberItems(NONE, all)]).toEqual(all.slice(-RECENT_ITEMS_KEPT));
});

test('what is remembered does not depend on how updates were cut', () => {
  const keys = fc.array(fc.bigInt({ min: 0n, max: 1_500n }), { maxLength: 2_500 });
  fc.assert(
    fc.property(keys, fc.nat(), (added, cut) => {
      const at = cut % (added.length + 1);
      const inTwo = rememberItems(rememberItems(NONE, added.slice(0, at)), added.slice(at));
      expect(inTwo).toEqual(rememberItems(NONE, added));
    }),
    { numRuns: 50 },
  );
});
