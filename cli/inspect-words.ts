import { RECENT_ITEMS_KEPT } from '../shared/adapters/recent-items.ts';

/** What `attune inspect` shows of a user's feedback. */
export interface FeedbackFacts {
  /** Number of rewards learned. */
  readonly rewards: number;
  /** Number of different items among the user's last ones, at most {@link RECENT_ITEMS_KEPT}. */
  readonly items: number;
  /** Null when unknown, as before the first reward. */
  readonly allRewardsEqual: boolean | null;
  readonly picksRanked: number;
  /** 0 to 1. */
  readonly meanPickPercentile: number | null;
  /** Null without the outputs of the deployment. */
  readonly learnsFrom: 'rewards' | 'picks' | null;
}

/** The facts as sentences: what the user did, and what Attune learns from it. */
export function inWords(user: string, facts: FeedbackFacts): string[] {
  const { rewards, items, allRewardsEqual, picksRanked, meanPickPercentile, learnsFrom } = facts;
  // Beyond that, their number is unknown.
  const atLeast = items < RECENT_ITEMS_KEPT ? '' : 'at least ';
  const of = items === 0 ? '' : ` for ${atLeast}${counted(items, 'item')}`;
  const kind =
    allRewardsEqual === null || rewards === 1
      ? ''
      : allRewardsEqual
        ? ', all of them equal, as clicks are: they say which items the user picked'
        : ', which differ: they say how much the user likes the items';
  const sentences = [`${user} gave ${counted(rewards, 'reward')}${of}${kind}.`];
  if (learnsFrom === 'picks')
    sentences.push('The deployment learns which items users pick, because their rewards hardly differ.');
  if (learnsFrom === 'rewards')
    sentences.push(
      `The deployment learns which reward a user gives to an item${allRewardsEqual === null ? '' : ' and, to rank the catalogue, which items users pick'}.`,
    );
  if (meanPickPercentile !== null)
    sentences.push(
      `Before Attune learned a pick, this user's taste ranked it above ${Math.round(100 * meanPickPercentile)} % of the items, on average over ${counted(picksRanked, 'pick')}; 50 % is chance.`,
    );
  return sentences;
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
