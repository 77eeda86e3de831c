import { userKey } from '../../shared/config/user-key.ts';
import type { EpisodeStore } from '../../shared/episodes/episode-store.ts';
import { mean } from './datasets/ranking-metrics.ts';
import { INTERACTIONS_PER_EVENT, type ReplayPlan } from './plan.ts';

/** Prediction quality for users who came after the bank had learned from others. */
export interface NewcomersLoss {
  /** Users who gave rewards. */
  readonly users: number;
  /** Mean of `losses`; null without users. */
  readonly loss: number | null;
  /** The same when only the user's mean reward predicts. */
  readonly lossWithoutAdapter: number | null;
  /**
   * Mean squared error of predicted reward over the first ten events of each of the newer half of
   * the users, in order of arrival; null for a user without rewards. Runs with the same users can
   * be compared user by user.
   */
  readonly losses: readonly (number | null)[];
}

const FIRST_REWARDS = 10 * INTERACTIONS_PER_EVENT;

/** The losses of the newer half of the users, in order of arrival, from their episodes. */
export async function newcomersLoss(
  plan: Pick<ReplayPlan, 'rounds'>,
  episodes: Pick<EpisodeStore, 'ofUser'>,
): Promise<NewcomersLoss> {
  const users = [...new Set(plan.rounds.flat().map(({ userId }) => userId))];
  const losses: (number | null)[] = [];
  const without: number[] = [];
  for (const userId of users.slice(Math.ceil(users.length / 2))) {
    const outcomes = [];
    for await (const { episode } of episodes.ofUser(userKey(userId)))
      if (episode !== undefined) outcomes.push({ version: episode.version, ...episode.outcome });
    // Counts rewards, because the number of events per update is random.
    let rewards = 0;
    let loss = 0;
    let lossWithoutAdapter = 0;
    for (const outcome of outcomes.sort((a, b) => a.version - b.version)) {
      if (rewards >= FIRST_REWARDS) break;
      rewards += outcome.rewards;
      loss += outcome.loss * outcome.rewards;
      lossWithoutAdapter += outcome.lossWithoutAdapter * outcome.rewards;
    }
    losses.push(rewards === 0 ? null : loss / rewards);
    if (rewards > 0) without.push(lossWithoutAdapter / rewards);
  }
  const known = losses.filter((loss) => loss !== null);
  return {
    users: known.length,
    loss: mean(known) ?? null,
    lossWithoutAdapter: mean(without) ?? null,
    losses,
  };
}
