import type { Episode, Outcome } from './episode.ts';

/**
 * An outcome as a number from 0 to 1, as the bank compares episodes: ℓ₀/(ℓ₀ + ℓ) for the loss ℓ with and ℓ₀ without the adapter. One
 * half when the adapter changed nothing, 1 when it predicted everything.
 */
export function rewardOf({ loss, lossWithoutAdapter }: Outcome): number {
  const both = loss + lossWithoutAdapter;
  return both === 0 ? 0.5 : lossWithoutAdapter / both;
}

/** Whether the adapter predicted what came better than the user's mean alone. */
export function succeeded({ loss, lossWithoutAdapter }: Outcome): boolean {
  return loss < lossWithoutAdapter;
}

/** Reward and success of an episode: as reported, or by its outcome. */
export function verdictOf({ report, outcome }: Episode): { reward: number; success: boolean } {
  return report ?? { reward: rewardOf(outcome), success: succeeded(outcome) };
}
