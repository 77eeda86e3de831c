import type { PopulationModel } from '../../shared/population/population-model.ts';
import type { ExampleUser } from './example-user.ts';
import type { Interval, LearnedState, Ranking } from './measure.ts';
import type { NewcomersLoss } from './newcomers.ts';
import type { ReplayPlan } from './plan.ts';
import type { Published } from './replay.ts';

/** The result of `attune local`: the last line of `--json`. */
export interface ReplaySummary extends Omit<Ranking, 'users'> {
  readonly dataset: string;
  readonly users: number;
  readonly interactionsPublished: number;
  readonly interactionsApplied: number;
  readonly eventsPublished: number;
  /** Events delivered once more and recognised. */
  readonly duplicates: number;
  readonly quarantined: number;
  readonly deadLettered: number;
  readonly adapters: number;
  readonly updates: number;
  /**
   * Per second from publishing until everything had taken effect; null when this run published
   * nothing.
   */
  readonly eventsPerSecond: number | null;
  /** From sending an event to the commit of its update, milliseconds. */
  readonly eventToEffectMs: { readonly p50: number | null; readonly p95: number | null };
  /** Parts of the current population model: prior and item effects. */
  readonly skills: number;
  readonly itemEffects: number;
  readonly consolidations: number;
  /** Median time to load the code of update-adapters in a new instance, milliseconds. */
  readonly coldStartMs: number | null;
  readonly learnedState: string;
  /** Whether users profited from others. */
  readonly transfer: 'on' | 'off';
  /** The newer half of the users, who came after the bank had learned from others. */
  readonly newcomers: NewcomersLoss;
  /** One user's history and recommendations. */
  readonly example: ExampleUser | null;
}

export function summarize(
  plan: ReplayPlan,
  published: Published,
  learned: LearnedState,
  ranking: Ranking,
  population: PopulationModel | undefined,
  counted: {
    duplicates: number;
    quarantined: number;
    deadLettered: number;
    delaysMs: readonly number[];
    coldStartsMs: readonly number[];
    transfer: 'on' | 'off';
    newcomers: NewcomersLoss;
    example: ExampleUser | null;
  },
): ReplaySummary {
  const { users: _, ...figures } = ranking;
  return {
    dataset: plan.dataset,
    users: plan.heldOut.length,
    interactionsPublished: plan.interactions,
    interactionsApplied: learned.interactions,
    eventsPublished: plan.events,
    duplicates: counted.duplicates,
    quarantined: counted.quarantined,
    deadLettered: counted.deadLettered,
    adapters: learned.adapters,
    updates: learned.updates,
    eventsPerSecond: published.events === 0 ? null : round(published.events / published.seconds),
    eventToEffectMs: { p50: quantile(counted.delaysMs, 0.5), p95: quantile(counted.delaysMs, 0.95) },
    ...figures,
    skills:
      population === undefined
        ? 0
        : Number(population.priorVersion > 0) + Number(population.items.sums.size > 0),
    itemEffects: population?.items.sums.size ?? 0,
    consolidations: published.consolidations,
    coldStartMs: quantile(counted.coldStartsMs, 0.5),
    learnedState: learned.digest,
    transfer: counted.transfer,
    newcomers: counted.newcomers,
    example: counted.example,
  };
}

/** The summary as text. */
export function describe(
  summary: ReplaySummary,
  plan: ReplayPlan,
  population: PopulationModel | undefined,
): string {
  const n = (value: number | null, digits = 0) =>
    value === null
      ? '–'
      : value.toLocaleString('en-US', { minimumFractionDigits: digits, maximumFractionDigits: digits });
  const s = summary;
  const range = (interval: Interval | null) =>
    `[${n(interval?.low ?? null, 3)}, ${n(interval?.high ?? null, 3)}]`;
  const prior =
    population?.evidence == null
      ? 'no population prior yet'
      : `a population prior fitted to ${n(population.evidence.users)} users and checked on ${n(population.evidence.validationUsers)} others`;
  const beyond = s.interactionsApplied - s.interactionsPublished;
  const applied =
    beyond === 0
      ? 'every one exactly once'
      : beyond > 0
        ? `${n(beyond)} of them from feedback outside this replay`
        : `${n(-beyond)} fewer than were published`;
  return [
    '',
    `${n(s.users)} users of ${s.dataset}, ${n(plan.items.size)} items`,
    '',
    `  published     ${n(s.interactionsPublished)} interactions in ${n(s.eventsPublished)} events`,
    `  applied       ${n(s.interactionsApplied)} interactions, ${applied}; ${n(s.duplicates)} duplicate events recognised`,
    `  refused       ${n(s.quarantined)} in quarantine, ${n(s.deadLettered)} dead letters`,
    `  adapters      ${n(s.adapters)} in S3 after ${n(s.updates)} updates, each recorded as an episode in DynamoDB`,
    `  skills        ${prior}; effects of ${n(s.itemEffects)} items${s.transfer === 'on' ? '' : '; none is used, transfer is off'}`,
    `  new users     the newest ${n(s.newcomers.users)} users were predicted with a squared error of ${n(s.newcomers.loss, 4)} over their first ten events (${n(s.newcomers.lossWithoutAdapter, 4)} without adapters)`,
    `  speed         ${n(s.eventsPerSecond)} events/s; from sending to effect ${n(s.eventToEffectMs.p50)} ms (median), ${n(s.eventToEffectMs.p95)} ms (95 %); cold start ${n(s.coldStartMs)} ms`,
    '',
    "  Each user's last interactions, never published, ranked by the personalize function:",
    '',
    '                embeddings alone   as for a new user     with the own adapter',
    `  AUC           ${n(s.aucBase, 3)}              ${n(s.aucShared, 3)}                 ${n(s.aucAdapted, 3)}  ${range(s.aucAdaptedInterval)}`,
    `  NDCG@10       ${n(s.ndcgBase, 3)}              ${n(s.ndcgShared, 3)}                 ${n(s.ndcgAdapted, 3)}`,
    `  The own adapter adds ${n(s.aucGain, 3)} ${range(s.aucGainInterval)} of AUC ${s.transfer === 'on' ? 'to what all users share' : 'to the embeddings alone'} (95 % interval over ${n(s.users)} users).`,
    '',
    ...(s.example === null ? [] : exampleLines(s.example)),
  ].join('\n');
}

/** The lists beside each other. */
function exampleLines({ userId, interactions, liked, before, after }: ExampleUser): string[] {
  const rows = [
    ['liked best so far', 'for a new user', `for ${userId}`],
    ...liked.map((title, i) => [title, before[i] ?? '', after[i] ?? '']),
  ].map((row) => row.map((cell) => (cell.length > 36 ? `${cell.slice(0, 35)}…` : cell).padEnd(38)));
  return [
    `  The best of the whole catalogue for ${userId}, in one call, after ${interactions} interactions:`,
    '',
    ...rows.map((row) => `  ${row.join('')}`.trimEnd()),
    '',
  ];
}

function quantile(values: readonly number[], q: number): number | null {
  if (values.length === 0) return null;
  const sorted = values.toSorted((a, b) => a - b);
  return round(sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
