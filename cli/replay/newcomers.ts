import { userKey } from '../../shared/feedback/user-key.ts';
import type { EpisodeStore } from '../../shared/reasoning-bank/episode-store.ts';
import type { ReplayPlan } from './plan.ts';

/** How it went for users who came when the bank had learned from others. */
export interface NewcomersLoss {
  readonly users: number;
  /** Mean over these users of their mean squared errors of predicted reward in their first ten updates. */
  readonly loss: number | null;
  /** The same of their mean rewards alone. */
  readonly lossWithoutAdapter: number | null;
}

const FIRST_UPDATES = 10;

/** The losses of the second half of the users, in the order in which they came, as their episodes have them. */
export async function newcomersLoss(
  plan: Pick<ReplayPlan, 'rounds'>,
  episodes: Pick<EpisodeStore, 'ofUser'>,
): Promise<NewcomersLoss> {
  const users = [...new Set(plan.rounds.flat().map(({ userId }) => userId))];
  const losses: number[] = [];
  const without: number[] = [];
  for (const userId of users.slice(Math.ceil(users.length / 2))) {
    const first = [];
    for await (const { version, outcome } of episodes.ofUser(userKey(userId))) {
      if (version <= FIRST_UPDATES && outcome.rewards > 0) first.push(outcome);
    }
    if (first.length === 0) continue;
    losses.push(mean(first.map(({ loss }) => loss)));
    without.push(mean(first.map(({ lossWithoutAdapter }) => lossWithoutAdapter)));
  }
  const nobody = losses.length === 0;
  return {
    users: losses.length,
    loss: nobody ? null : mean(losses),
    lossWithoutAdapter: nobody ? null : mean(without),
  };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
