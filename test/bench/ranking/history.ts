import type { PickEvent } from './protocol.ts';

/** All events so far: what a row may learn from or rank by. */
export class History {
  readonly itemCount: number;
  /** Picks by user, oldest first. */
  readonly picks = new Map<number, number[]>();
  /** Times that every item was picked. */
  readonly counts: Float64Array;
  events = 0;

  constructor(itemCount: number) {
    this.itemCount = itemCount;
    this.counts = new Float64Array(itemCount);
  }

  add({ user, items }: PickEvent): void {
    const picks = this.picks.get(user);
    if (picks === undefined) this.picks.set(user, [...items]);
    else picks.push(...items);
    for (const item of items) this.counts[item]! += 1;
    this.events += 1;
  }

  of(user: number): readonly number[] {
    return this.picks.get(user) ?? [];
  }
}
