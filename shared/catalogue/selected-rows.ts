/** Which rows of a shard may be in an answer. */
export interface SelectedRows {
  /** A byte per row, 1 for those that may; null admits all. */
  readonly admitted: Uint8Array | null;
  /** Rows to leave out, when they are few; null leaves none out. */
  readonly excluded: ReadonlySet<number> | null;
}

/** By shard; shards without an entry are admitted whole. */
export type Selection = readonly SelectedRows[];

export const ALL_ROWS: SelectedRows = { admitted: null, excluded: null };
