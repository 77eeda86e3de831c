/** Sums over a user's interactions with one item. */
export interface PastRewards {
  /** ψ of the item, length P. */
  readonly psi: Float64Array;
  readonly count: number;
  /** Σr. */
  readonly rewards: number;
  /** Σβ, the item effects known when the rewards were learned. */
  readonly effects: number;
}

/** How ψ·m, the user's part of one item's score, divides. */
export interface Pulls {
  /** The user's part without any feedback of the user. */
  readonly prior: number;
  /**
   * Contribution of some past rewards, given the number of all rewards. Exact, because m is linear
   * in the rewards.
   */
  of(past: PastRewards): number;
}
