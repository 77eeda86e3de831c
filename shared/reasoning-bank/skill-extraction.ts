import { createHash } from 'node:crypto';
import type { BankStore } from '../episodes/bank-store.ts';
import type { CellStrategy, Skill } from '../episodes/cell-strategy.ts';
import type { Episode } from '../episodes/episode.ts';
import { SHARDS, storedAtKey } from '../episodes/episode-index.ts';
import { verdictOf } from '../episodes/outcome.ts';
import { recommend } from '../population/recommendation.ts';
import type { ConsolidationSummary } from './bank.ts';

export interface SkillExtraction {
  readonly minUses: number;
  readonly minSuccessRate: number;
  readonly lookbackDays: number;
  /** Epoch milliseconds. */
  readonly now: number;
  /** Configured hyperparameters. */
  readonly defaults: Readonly<Record<string, number>>;
}

/** Most episodes of one cell that a run reads, the oldest first. */
const MAX_EPISODES = 50_000;
/** Most skills per cell: the most used. */
const MAX_SKILLS = 20;
const DAY_MS = 86_400_000;

/**
 * Extracts skills from patterns: for every cell the combinations of hyperparameters with enough
 * uses and successes, and the resulting recommendation. Both replace the earlier ones, so that a
 * repeated run on the same episodes changes nothing.
 * @throws UnavailableError
 */
export async function extractSkills(
  store: BankStore,
  cells: readonly string[],
  request: SkillExtraction,
): Promise<ConsolidationSummary> {
  let skillsCreated = 0;
  let considered = 0;
  const rejected: { what: string; why: string }[] = [];
  for (const cell of cells) {
    const episodes = await readCell(store, cell, request);
    const groups = Map.groupBy(episodes, ({ hyperparameters = {} }) => canonical(hyperparameters));
    const skills: Skill[] = [];
    for (const [hyperparameters, group] of [...groups].sort(([a], [b]) => (a < b ? -1 : 1))) {
      considered += 1;
      const skill = skillOf(cell, hyperparameters, group);
      const why = objection(skill, request);
      if (why === undefined) skills.push(skill);
      else rejected.push({ what: `${cell} ${hyperparameters}`, why });
    }
    skills.sort((a, b) => b.uses - a.uses || (a.id < b.id ? -1 : 1));
    const before = await store.strategy(cell);
    const known = new Set(before?.skills.map((skill) => JSON.stringify(skill)));
    const kept = skills.slice(0, MAX_SKILLS);
    skillsCreated += kept.filter((skill) => !known.has(JSON.stringify(skill))).length;
    const { hints, recommendation, confidence } = recommend(episodes, request.defaults);
    const after: CellStrategy = {
      cell,
      hints,
      recommendation,
      confidence,
      skills: kept,
      consolidatedAt: request.now,
    };
    if (episodes.length > 0 || before !== undefined) await store.recordStrategy(after);
  }
  return { skillsCreated, considered, rejected };
}

async function readCell(
  store: BankStore,
  cell: string,
  { lookbackDays, now }: SkillExtraction,
): Promise<Episode[]> {
  const since = storedAtKey(Math.max(0, now - lookbackDays * DAY_MS));
  const episodes: Episode[] = [];
  const watermarks = new Array<string>(SHARDS).fill(since);
  for await (const { episode } of store.after(cell, watermarks, now + 1)) {
    if (episode === undefined) continue;
    episodes.push(episode);
    if (episodes.length === MAX_EPISODES) break;
  }
  return episodes;
}

function skillOf(cell: string, hyperparameters: string, episodes: readonly Episode[]): Skill {
  const verdicts = episodes.map(verdictOf);
  const times = episodes.map(({ committedAt }) => committedAt);
  return {
    id: createHash('sha256').update(`${cell} ${hyperparameters}`).digest('hex').slice(0, 16),
    cell,
    hyperparameters: JSON.parse(hyperparameters) as Record<string, number>,
    uses: episodes.length,
    users: new Set(episodes.map(({ userKey }) => userKey)).size,
    successRate: verdicts.filter(({ success }) => success).length / episodes.length,
    meanReward: verdicts.reduce((sum, { reward }) => sum + reward, 0) / episodes.length,
    from: times.reduce((a, b) => Math.min(a, b)),
    to: times.reduce((a, b) => Math.max(a, b)),
  };
}

function objection(
  { uses, successRate }: Skill,
  { minUses, minSuccessRate }: SkillExtraction,
): string | undefined {
  if (uses < minUses) return `${uses} episodes, expected at least ${minUses}`;
  if (successRate < minSuccessRate) {
    return `success rate ${successRate.toFixed(3)}, expected at least ${minSuccessRate}`;
  }
  return undefined;
}

/** JSON with the names in order. */
function canonical(record: Readonly<Record<string, number>>): string {
  return JSON.stringify(Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1))));
}
