import type { History } from './history.ts';
import type { PickEvent, Split } from './protocol.ts';

/** A way of ranking the catalogue. It knows what happened so far and nothing later. */
export interface Row {
  /** Learns from an event at once. */
  learn?(event: PickEvent): void;
  /** Learns from all events so far. Called whenever a deployment would consolidate. */
  train(history: History): void;
  /** Counts picks since then, as a deployment does at least once a day with feedback. */
  count?(history: History): void;
  /** Scores of all items for a user, into `out`. */
  scores(user: number, history: History, out: Float64Array): void;
}

/** How a row is made and played. */
export interface Contender {
  readonly name: string;
  readonly make: (split: Split) => Row;
  /** Knows the other half of the users as well. Default false. */
  readonly prefilled?: boolean;
  /**
   * Whether everything that a user rated is published. What was rated without being picked is then
   * no candidate either. Default false.
   */
  readonly learnsRatings?: boolean;
  /** The events that it receives. Default: those of the split. */
  readonly events?: (split: Split) => Split;
}
