import { expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';
import { isHeldOut } from '../../../shared/population/holdout.ts';
import { isValidationUser } from '../../../shared/population/validation-fold.ts';

const keys = Array.from({ length: 20_000 }, (_, i) => userKey(`user ${i}`));

test('nobody is held out by default', () => {
  expect(keys.some((key) => isHeldOut(key, 0))).toBe(false);
  expect(keys.every((key) => isHeldOut(key, 1))).toBe(true);
});

test('the configured share of users is held out', () => {
  const heldOut = keys.filter((key) => isHeldOut(key, 0.05)).length;
  expect(heldOut / keys.length).toBeGreaterThan(0.045);
  expect(heldOut / keys.length).toBeLessThan(0.055);
});

test('a larger share holds out the same users and more', () => {
  const few = keys.filter((key) => isHeldOut(key, 0.05));
  expect(few.every((key) => isHeldOut(key, 0.2))).toBe(true);
});

test('the holdout is independent of the validation fold', () => {
  const checking = keys.filter(isValidationUser);
  const both = checking.filter((key) => isHeldOut(key, 0.5)).length;
  expect(both / checking.length).toBeGreaterThan(0.46);
  expect(both / checking.length).toBeLessThan(0.54);
});
