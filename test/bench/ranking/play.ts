import { nextDue } from '../../../shared/population/episode-progress.ts';
import { History } from './history.ts';
import { type RankingMetrics, rankingMetrics } from './metrics.ts';
import type { Split } from './protocol.ts';
import type { Contender } from './rows.ts';

/** Users are ranked after so many picks, and after their last event. */
export const STAGES = ['5', '10', 'all'] as const;

const DAY_MS = 86_400_000;

/** By stage, the metrics of every user who reached it; undefined for the others. */
export type Played = readonly (readonly (RankingMetrics | undefined)[])[];

/**
 * Plays the events in order of time. A user is ranked right after the event that reaches a stage,
 * over all items that the user has not picked; nothing that happens later is known.
 */
export function play(
  { make, prefilled = false, learnsRatings = false, events = (split) => split }: Contender,
  original: Split,
): Played {
  const split = events(original);
  const items = split.itemIds.length;
  const row = make(split);
  const history = new History(items);
  if (prefilled) {
    for (const event of split.otherEvents) {
      history.add(event);
      row.learn?.(event);
    }
    row.train(history);
  }
  let countedAt = split.events[0]?.at ?? 0;
  let due = nextDue(history.events);
  const scores = new Float64Array(items);
  const played = STAGES.map(() =>
    new Array<RankingMetrics | undefined>(split.userIds.length).fill(undefined),
  );
  for (const event of split.events) {
    const before = history.of(event.user).length;
    if (event.at - countedAt >= DAY_MS) {
      row.count?.(history);
      countedAt = event.at;
    }
    history.add(event);
    row.learn?.(event);
    if (history.events >= due) {
      row.train(history);
      due = nextDue(history.events);
    }
    const now = history.of(event.user).length;
    const reached = [before < 5 && now >= 5, before < 10 && now >= 10, event.last];
    if (!reached.includes(true)) continue;
    const excluded = new Uint8Array(items);
    const met = learnsRatings ? split.rated : split.interacted;
    for (const item of met[event.user]!) excluded[item] = 1;
    for (const item of history.of(event.user)) excluded[item] = 1;
    row.scores(event.user, history, scores);
    const metrics = rankingMetrics(scores, split.heldOut[event.user]!, excluded);
    reached.forEach((isReached, stage) => {
      if (isReached) played[stage]![event.user] = metrics;
    });
  }
  return played;
}
