/** What a user did with one item, as far as sums tell. */
export interface PastRewards {
  /** ψ of the item, length P. */
  readonly psi: Float64Array;
  readonly count: number;
  /** Σr. */
  readonly rewards: number;
  /** Σβ, the item effects known when the rewards were learned. */
  readonly effects: number;
}

/** How the user's part of one item's score, ψ·m, divides. */
export interface Pulls {
  /** What it is without any feedback of the user. */
  readonly prior: number;
  /** What some past rewards add to it, given how many there are in all: exact, since m is linear in rewards. */
  of(past: PastRewards): number;
}
