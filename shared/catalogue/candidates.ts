import type { Place } from './catalogue-reader.ts';

/** Above the float64 error of the few sums of a score below a million. */
const FLOAT_ERROR = 1e-9;

/**
 * Rows that may be among the `limit` best by exact scores, found from approximate ones. The floor
 * is the limit-th largest of all lower bounds. At least `limit` items reach it, so an item with an
 * upper bound below the floor is not among the best.
 */
export class Candidates {
  /** Number of rows examined. */
  scanned = 0;
  /** The largest lower bounds, as a heap with the smallest on top; −∞ for missing ones. */
  readonly #bounds: Float64Array;
  readonly #shards: number[] = [];
  readonly #rows: number[] = [];
  readonly #upper: number[] = [];

  /** @param limit at least 1 */
  constructor(limit: number) {
    this.#bounds = new Float64Array(limit).fill(Number.NEGATIVE_INFINITY);
  }

  /** The score that at least `limit` items reach; −∞ while there are fewer items. */
  get floor(): number {
    return this.#bounds[0]!;
  }

  /** @param error largest deviation of the value in either direction */
  offer(shard: number, row: number, value: number, error: number): void {
    const margin = error + FLOAT_ERROR;
    if (value + margin < this.floor) return;
    this.#shards.push(shard);
    this.#rows.push(row);
    this.#upper.push(value + margin);
    this.#raiseFloor(value - margin);
  }

  /** The candidates above the final floor. */
  left(): Place[] {
    const left: Place[] = [];
    this.#upper.forEach((upper, i) => {
      if (upper >= this.floor) left.push({ shard: this.#shards[i]!, row: this.#rows[i]! });
    });
    return left;
  }

  #raiseFloor(bound: number): void {
    const bounds = this.#bounds;
    if (bound <= bounds[0]!) return;
    // A heap with the smallest on top, which the bound replaces.
    let at = 0;
    for (let child = 1; child < bounds.length; child = 2 * at + 1) {
      if (child + 1 < bounds.length && bounds[child + 1]! < bounds[child]!) child++;
      if (bounds[child]! >= bound) break;
      bounds[at] = bounds[child]!;
      at = child;
    }
    bounds[at] = bound;
  }
}
