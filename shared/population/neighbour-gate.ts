import { fitNeighbours, mostTelling, neighbourGains, positionOf } from '../lora/neighbours.ts';
import { isValidationUser } from './validation-fold.ts';

/** A user with the keys of the items picked, oldest first. */
export interface UserPicks {
  readonly userKey: string;
  readonly picks: BigUint64Array;
}

/**
 * Ranking quality of lists of neighbours on later picks of users that they were not learned from.
 */
export interface GateVerdict {
  /** Validation users with later picks. */
  readonly users: number;
  /**
   * Mean over these users of the rank of a later pick by the lists alone, among items drawn by
   * popularity. ½ is no better than popularity. Null without such users.
   */
  readonly percentile: number | null;
  /** Whether lists rank worse than popularity alone, by two standard errors. */
  readonly harmful: boolean;
}

/**
 * Users to learn the tested lists from; fewer than for the served lists, because the test is
 * additional work.
 */
const FITTED_USERS = 300;
/** Share of a user's picks that count as earlier ones. */
const EARLIER = 0.8;
/** Least number of users for a standard error. */
const FEWEST_USERS = 5;

/**
 * Tests lists of neighbours on the users of the validation fold. Learns lists from the other users,
 * and ranks the last fifth of each validation user's picks with them.
 */
export function tryNeighbours(users: readonly UserPicks[]): GateVerdict {
  const others = users.filter(({ userKey }) => !isValidationUser(userKey)).map(({ picks }) => picks);
  const lists = fitNeighbours(mostTelling(others, FITTED_USERS));
  if (lists === undefined) return { users: 0, percentile: null, harmful: false };
  const popularity = new Float64Array(lists.keys.length);
  for (const picks of others)
    for (const key of picks) {
      const position = positionOf(lists.keys, key);
      if (position !== -1) popularity[position]! += 1;
    }
  const excesses: number[] = [];
  for (const { userKey, picks } of users) {
    if (!isValidationUser(userKey)) continue;
    const split = Math.floor(picks.length * EARLIER);
    const gains = neighbourGains(lists, picks.subarray(0, split));
    const later = [...picks.subarray(split)].map((key) => positionOf(lists.keys, key));
    const known = later.filter((position) => position !== -1);
    if (gains === undefined || known.length === 0) continue;
    const sum = known.reduce((total, position) => total + percentileOf(position, gains, popularity), 0);
    excesses.push(sum / known.length - 0.5);
  }
  const count = excesses.length;
  if (count === 0) return { users: 0, percentile: null, harmful: false };
  const mean = excesses.reduce((sum, excess) => sum + excess / count, 0);
  const variance = excesses.reduce((sum, excess) => sum + (excess - mean) ** 2 / (count - 1), 0);
  return {
    users: count,
    percentile: 0.5 + mean,
    harmful: count >= FEWEST_USERS && mean + 2 * Math.sqrt(variance / count) < 0,
  };
}

/** Share of items, drawn by popularity, that gain less than one item; ties count half. */
function percentileOf(position: number, gains: Float64Array, popularity: Float64Array): number {
  let below = 0;
  let all = 0;
  for (let i = 0; i < gains.length; i++) {
    all += popularity[i]!;
    if (gains[i]! < gains[position]!) below += popularity[i]!;
    else if (gains[i] === gains[position]) below += popularity[i]! / 2;
  }
  return below / all;
}
