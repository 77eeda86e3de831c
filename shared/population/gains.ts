import { type Neighbours, neighbourGains, positionOf } from '../lora/neighbours.ts';

/** Gains of items from one user's picks. */
export interface Gains {
  readonly neighbours: Neighbours;
  /** By the items' positions in `neighbours.keys`. */
  readonly values: Float64Array;
}

/** Null where no pick has neighbours. */
export function gainsOf(neighbours: Neighbours, picked: Iterable<bigint>): Gains | null {
  const values = neighbourGains(neighbours, picked);
  return values === undefined ? null : { neighbours, values };
}

/** The gain of one item; 0 without neighbours. */
export function gainOf({ neighbours, values }: Gains, key: bigint): number {
  const position = positionOf(neighbours.keys, key);
  return position === -1 ? 0 : values[position]!;
}
