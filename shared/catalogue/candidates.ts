import type { Approximation } from './approximate-scan.ts';
import type { Place } from './catalogue-reader.ts';

/** Above the float64 error of the few sums of a score, for scores below a million. */
const FLOAT_ERROR = 1e-9;

/**
 * Rows that may be among the `limit` best by their exact scores, found from approximate ones. The
 * floor is the limit-th largest of all lower bounds: so many items score at least that much, so an
 * item with an upper bound below it is not among the best.
 */
export class Candidates {
  readonly #limit: number;
  /** The largest lower bounds, as a heap with the smallest on top. */
  readonly #bounds: number[] = [];
  readonly #shards: number[] = [];
  readonly #rows: number[] = [];
  readonly #upper: number[] = [];
  #floor = Number.NEGATIVE_INFINITY;

  /** @param limit at least 1 */
  constructor(limit: number) {
    this.#limit = limit;
  }

  offer(
    shard: number,
    { values, step, error }: Approximation,
    base: number,
    effects: Float64Array | undefined,
    selected: Uint8Array | null,
  ): void {
    const rows = values.length;
    const margin = error + FLOAT_ERROR;
    // The items' own scores must reach this. It rises with the floor.
    let least = this.#floor - margin - base;
    for (let row = 0; row < rows; row++) {
      const own = values[row]! * step + (effects === undefined ? 0 : effects[row]!);
      if (own < least || (selected !== null && selected[row] === 0)) continue;
      this.#shards.push(shard);
      this.#rows.push(row);
      this.#upper.push(own + base + margin);
      this.#raiseFloor(own + base - margin);
      least = this.#floor - margin - base;
    }
  }

  /** The candidates above the final floor. */
  *left(): Generator<Place> {
    for (let i = 0; i < this.#rows.length; i++)
      if (this.#upper[i]! >= this.#floor) yield { shard: this.#shards[i]!, row: this.#rows[i]! };
  }

  #raiseFloor(bound: number): void {
    const heap = this.#bounds;
    if (heap.length < this.#limit) {
      heap.push(bound);
      for (let child = heap.length - 1; child > 0; ) {
        const parent = (child - 1) >>> 1;
        if (heap[child]! >= heap[parent]!) break;
        [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
        child = parent;
      }
      if (heap.length === this.#limit) this.#floor = heap[0]!;
      return;
    }
    if (bound <= this.#floor) return;
    heap[0] = bound;
    for (let parent = 0; ; ) {
      let child = 2 * parent + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1]! < heap[child]!) child++;
      if (heap[child]! >= heap[parent]!) break;
      [heap[child], heap[parent]] = [heap[parent]!, heap[child]!];
      parent = child;
    }
    this.#floor = heap[0]!;
  }
}
