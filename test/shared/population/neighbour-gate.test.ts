import { describe, expect, test } from 'vitest';
import { userKey } from '../../../shared/config/user-key.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { tryNeighbours, type UserPicks } from '../../../shared/population/neighbour-gate.ts';
import { isValidationUser } from '../../../shared/population/validation-fold.ts';

const random = createRandom('gate');
const keysOf = (inside: boolean, count: number) => {
  const found: string[] = [];
  for (let n = 0; found.length < count; n++) {
    const key = userKey(`user ${n}`);
    if (isValidationUser(key) === inside) found.push(key);
  }
  return found;
};
const picksOf = (items: readonly number[]) => BigUint64Array.from(items, (item) => BigInt(item));
/** Ten different items of one of four groups of 20. */
const ofGroup = (group: number) =>
  random.shuffle(Array.from({ length: 20 }, (_, i) => 20 * group + i)).slice(0, 10);
/** Users who each pick from one group. */
const crowd = (): UserPicks[] =>
  keysOf(false, 80).map((key, user) => ({ userKey: key, picks: picksOf(ofGroup(user % 4)) }));
/** Validation users who pick eight items of one group first, and then two of `later`. */
const validation = (count: number, later: (group: number) => number): UserPicks[] =>
  keysOf(true, count).map((key, user) => {
    const group = user % 4;
    return {
      userKey: key,
      picks: picksOf([...ofGroup(group).slice(0, 8), ...ofGroup(later(group)).slice(8)]),
    };
  });

describe('lists of neighbours tried on users whom they were not learned from', () => {
  test('rank the later picks of these users above popularity when each user picks items of one kind', () => {
    const { users, percentile, harmful } = tryNeighbours([...crowd(), ...validation(12, (group) => group)]);
    expect(users).toBe(12);
    expect(percentile).toBeGreaterThan(0.8);
    expect(harmful).toBe(false);
  });

  test('are harmful when these users pick items that nobody picked together', () => {
    const { percentile, harmful } = tryNeighbours([
      ...crowd(),
      ...validation(12, (group) => (group + 1) % 4),
    ]);
    expect(percentile).toBeLessThan(0.5);
    expect(harmful).toBe(true);
  });

  test('are not harmful by chance: four users are too few', () => {
    const verdict = tryNeighbours([...crowd(), ...validation(4, (group) => (group + 1) % 4)]);
    expect(verdict).toMatchObject({ users: 4, harmful: false });
  });

  test('are not harmful when users pick at random', () => {
    const anyhow = (keys: string[]) =>
      keys.map((key) => ({
        userKey: key,
        picks: picksOf(random.shuffle(Array.from({ length: 80 }, (_, i) => i)).slice(0, 10)),
      }));
    const { percentile, harmful } = tryNeighbours([
      ...anyhow(keysOf(false, 80)),
      ...anyhow(keysOf(true, 20)),
    ]);
    expect(Math.abs(percentile! - 0.5)).toBeLessThan(0.15);
    expect(harmful).toBe(false);
  });

  test('give no result without validation users, or without joint picks', () => {
    expect(tryNeighbours(crowd())).toEqual({ users: 0, percentile: null, harmful: false });
    expect(tryNeighbours([])).toEqual({ users: 0, percentile: null, harmful: false });
  });
});
