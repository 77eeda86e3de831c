import { type AdaptationContext, contextDistance } from '../episodes/adaptation-context.ts';
import type { Episode } from '../episodes/episode.ts';
import { contextOfEpisode, taskOfEpisode } from './pattern.ts';

/** A parsed query. */
export interface Query {
  readonly context: AdaptationContext;
  /** Words of the query, in lower case. */
  readonly words: ReadonlySet<string>;
}

export interface Ranked {
  readonly episode: Episode;
  /** From 0 to 1. */
  readonly similarity: number;
}

/**
 * The k episodes most similar to a query, exactly. Similarity is 1/(1 + distance) when both have a
 * context, otherwise the overlap of words, |a ∩ b|/√(|a|·|b|) (Ochiai 1957). Ties go to more shared
 * words, then to the newer episode.
 */
export function nearest(episodes: readonly Episode[], query: Query, k: number): Ranked[] {
  return episodes
    .map((episode) => {
      const overlap = textOverlap(query.words, episode);
      const context = contextOfEpisode(episode);
      const similarity = sharesField(query.context, context)
        ? 1 / (1 + contextDistance(query.context, context))
        : overlap;
      return { episode, similarity, overlap };
    })
    .sort(
      (a, b) =>
        b.similarity - a.similarity ||
        b.overlap - a.overlap ||
        b.episode.committedAt - a.episode.committedAt ||
        compare(a.episode.userKey, b.episode.userKey) ||
        b.episode.version - a.episode.version ||
        compare(a.episode.report?.id ?? '', b.episode.report?.id ?? ''),
    )
    .slice(0, k);
}

/** The words of a text: runs of letters and digits, in lower case. */
export function wordsOf(text: string): Set<string> {
  return new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
}

/**
 * With the task, or with task and critique, whichever is larger, so that the exact task scores
 * highest.
 */
function textOverlap(words: ReadonlySet<string>, episode: Episode): number {
  const task = taskOfEpisode(episode);
  const overlap = wordOverlap(words, wordsOf(task));
  const critique = episode.report?.critique ?? '';
  return critique === '' ? overlap : Math.max(overlap, wordOverlap(words, wordsOf(`${task} ${critique}`)));
}

function wordOverlap(a: ReadonlySet<string>, b: ReadonlySet<string>): number {
  if (a.size === 0 || b.size === 0) return 0;
  let shared = 0;
  for (const word of a) if (b.has(word)) shared += 1;
  return shared / Math.sqrt(a.size * b.size);
}

function sharesField(a: AdaptationContext, b: AdaptationContext): boolean {
  return (Object.keys(a) as (keyof AdaptationContext)[]).some((field) => b[field] !== undefined);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
