import { userKey } from '../config/user-key.ts';
import { type AdaptationContext, contextOf, taskOf, userOfTask } from '../episodes/adaptation-context.ts';
import { cellOf, type Episode, type Outcome } from '../episodes/episode.ts';
import { verdictOf } from '../episodes/outcome.ts';
import type { NewPattern, Pattern } from './bank.ts';

/** Defaults for a context's missing fields, so that it belongs to a cell. */
export type CellDefaults = Required<Pick<AdaptationContext, 'learner' | 'rank' | 'embeddingDim'>>;

/** The cell of patterns about no adapter. */
export const TEXT_CELL = 'text';

const NO_OUTCOME: Outcome = { rewards: 0, meanReward: 0, loss: 0, lossWithoutAdapter: 0, lossOfWarmStart: 0 };

/** The cell of a context; undefined when it names no learner, rank or dimension. */
export function cellOfContext(context: AdaptationContext, defaults: CellDefaults): string | undefined {
  const { learner, rank, embeddingDim } = context;
  if (learner === undefined && rank === undefined && embeddingDim === undefined) return undefined;
  return cellOf({
    learner: learner ?? defaults.learner,
    rank: rank ?? defaults.rank,
    embeddingDim: embeddingDim ?? defaults.embeddingDim,
  });
}

/**
 * @param id identifies the episode when it has no user and version. `now` is in epoch milliseconds.
 */
export function episodeOf(
  pattern: NewPattern,
  { id, now, defaults }: { id: string; now: number; defaults: CellDefaults },
): Episode {
  const context = { ...contextOf(pattern.task), ...pattern.context };
  const userId = pattern.userId ?? userOfTask(pattern.task);
  const version = userId === undefined ? 0 : (pattern.version ?? 0);
  // No user id holds a control character, so a session is never mistaken for a user.
  const owner = userKey(userId ?? `\0${pattern.sessionId}`);
  return {
    userKey: owner,
    version,
    cell: cellOfContext(context, defaults) ?? TEXT_CELL,
    committedAt: now,
    context: {
      events: 1,
      interactions: context.batchSize ?? 0,
      samplesSeen: context.samplesSeen ?? 0,
      skillsVersion: 0,
    },
    outcome: pattern.outcome ?? NO_OUTCOME,
    residuals: [],
    ...(pattern.hyperparameters === undefined ? {} : { hyperparameters: pattern.hyperparameters }),
    report: {
      id: version > 0 ? `${owner}#${version}` : id,
      sessionId: pattern.sessionId,
      task: pattern.task,
      input: pattern.input ?? '',
      output: pattern.output ?? '',
      critique: pattern.critique ?? '',
      success: pattern.success,
      reward: pattern.reward,
      latencyMs: pattern.latencyMs ?? 0,
      tokensUsed: pattern.tokensUsed ?? 0,
      context,
    },
  };
}

/**
 * An episode as a pattern. Episodes of the update path get a text.
 * @param similarity from 0 to 1
 */
export function patternOf(episode: Episode, similarity: number): Pattern {
  const { userKey, version, cell, committedAt, outcome, report, hyperparameters = {} } = episode;
  const context = contextOfEpisode(episode);
  const common = { similarity, userKey, version, committedAt, context, hyperparameters };
  if (report !== undefined) {
    return { ...report, ...common, outcome: outcome.rewards === 0 ? null : outcome };
  }
  const { events, interactions, samplesSeen, skillsVersion } = episode.context;
  return {
    ...common,
    ...verdictOf(episode),
    id: `${userKey}#${version}`,
    sessionId: cell,
    task: taskOfEpisode(episode),
    input: JSON.stringify({ events, interactions, samplesSeen, skillsVersion }),
    output: JSON.stringify(outcome),
    critique: '',
    latencyMs: 0,
    tokensUsed: 0,
    outcome,
  };
}

/** The task of an episode, as reported or generated. */
export function taskOfEpisode({ report, userKey, cell, context }: Episode): string {
  return report?.task ?? taskOf(userKey, contextOfCell(cell).rank ?? 0, context.samplesSeen);
}

/** The context of an episode, as far as known; complete for the update path. */
export function contextOfEpisode({ report, cell, context, outcome }: Episode): AdaptationContext {
  if (report !== undefined) {
    const loss = outcome.rewards === 0 ? {} : { loss: outcome.loss };
    return { ...contextOfCell(cell), ...loss, ...report.context };
  }
  return {
    ...contextOfCell(cell),
    samplesSeen: context.samplesSeen,
    batchSize: context.interactions,
    ...(outcome.rewards === 0 ? {} : { loss: outcome.loss }),
  };
}

/** The inverse of {@link cellOf}; empty for the cell of plain text. */
function contextOfCell(cell: string): AdaptationContext {
  const [, learner, rank, embeddingDim] = /^([a-z]+)-r(\d+)-d(\d+)$/.exec(cell) ?? [];
  if (learner === undefined) return {};
  return { learner, rank: Number(rank), embeddingDim: Number(embeddingDim) };
}
