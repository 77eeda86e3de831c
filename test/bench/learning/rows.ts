import type { RatingsData } from '../../../cli/replay/datasets/ratings.ts';
import { type Basis, basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { embeddingsOf } from '../embeddings.ts';
import { type Consolidation, MemoryDeployment } from './deployment.ts';
import { userMeans } from './reference-contenders.ts';
import { type Contender, deployed, eventOf, runContender, type UserResult } from './run.ts';
import { seedAlgorithm } from './seed-contender.ts';
import { type Batch, type Split, splitUsers, withItemsShuffled } from './split.ts';

/** Prior variances τ² to choose the best from, in hindsight, for the engine without a bank. */
export const PRIOR_VARIANCES = [1, 3, 10, 30, 60, 100] as const;
/** One in this many users lies in the row `bank-hostile`. */
const HOSTILE = 20;

export interface SplitOptions {
  /** A kind, or the path of a file. */
  readonly embeddings: string;
  readonly seed: number;
  /** Users online at most. */
  readonly users?: number;
}

/** Data that all rows of a split share. */
export interface PlayedSplit {
  readonly split: Split;
  readonly seed: number;
  readonly basis: Basis;
  /** Users who give opposite feedback in the row `bank-hostile`. */
  readonly hostile: ReadonlySet<string>;
}

/** What one row got out of one split. */
export interface RowResult {
  readonly users: number;
  readonly updates: number;
  readonly hostile: ReadonlySet<string>;
  readonly results: readonly UserResult[];
  /** Share of the features' variance that the last change of basis missed. */
  readonly carryOverLoss?: number | undefined;
}

export interface SplitResult {
  readonly users: number;
  readonly updates: number;
  /** By name of the row; `no-bank τ²=10` and so on are the candidates of the row `no-bank`. */
  readonly rows: ReadonlyMap<string, readonly UserResult[]>;
  readonly hostile: ReadonlySet<string>;
  /** By name of the row. */
  readonly carryOverLosses: ReadonlyMap<string, number>;
}

type Row = (played: PlayedSplit) => Promise<Pick<RowResult, 'results' | 'carryOverLoss'>>;

const ROWS: Readonly<Record<string, Row>> = {
  'no-adapter': ({ split }) => contest(split, userMeans(split.meanReward)),
  'item-mean': ({ split }) => contest(split, userMeans(split.meanReward, split.itemMeans)),
  ...Object.fromEntries(
    PRIOR_VARIANCES.map((priorVariance): [string, Row] => [
      noBank(priorVariance),
      async (played) => contestOf(played, await deploy(played, 'never', { priorVariance })),
    ]),
  ),
  bank: async (played) => contestOf(played, await deploy(played, 'hourly')),
  'bank-without-items': async (played) => {
    const { split } = played;
    return contest(split, deployed(await deploy(played, 'hourly'), split.items, { withItemIds: false }));
  },
  control: async (played) => {
    const split = withItemsShuffled(played.split, played.seed);
    return contest(split, deployed(await deploy(played, 'hourly'), split.items));
  },
  'bank-no-catalogue': async (played) => {
    const deployment = await deploy(played, 'hourly', { basis: null });
    const { results } = await contestOf(played, deployment);
    return { results, carryOverLoss: await deployment.carryOverLoss() };
  },
  'bank-basis-change': async (played) => {
    const { split } = played;
    const deployment = await deploy(played, 'hourly', { basis: null });
    const contender = deployed(deployment, split.items);
    const change = Math.floor(split.batches.length / 2);
    let learned = 0;
    const { results } = await contest(split, {
      ...contender,
      async learn(batch) {
        if (learned++ === change) await deployment.provideBasis([...split.items.values()]);
        return contender.learn(batch);
      },
    });
    return { results, carryOverLoss: await deployment.carryOverLoss() };
  },
  seed: ({ split, seed }) => contest(split, seedAlgorithm(split, seed)),
  'bank-by-count': async (played) => contestOf(played, await deploy(played, 'by-count')),
  'bank-prefilled': async (played) => {
    const { otherBatches, items } = played.split;
    const deployment = await deploy(played, 'hourly');
    for (const batch of otherBatches) await deployment.update(eventOf(batch, items, true));
    await deployment.consolidate(true);
    return contestOf(played, deployment);
  },
  'bank-hostile': async (played) => {
    const split = withLies(played.split, played.hostile);
    return contest(split, deployed(await deploy(played, 'hourly'), split.items));
  },
};

/** Rows that the bars of a quick run need. */
const QUICK = [
  'no-adapter',
  'item-mean',
  noBank(10),
  noBank(30),
  'bank',
  'bank-without-items',
  'control',
  'bank-no-catalogue',
];

export function rowNames(quick: boolean): readonly string[] {
  return quick ? QUICK : Object.keys(ROWS);
}

/** Name of the candidate for the row `no-bank` with this prior variance τ². */
export function noBank(priorVariance: number): string {
  return `no-bank τ²=${priorVariance}`;
}

export function openSplit(data: RatingsData, { embeddings, seed, users }: SplitOptions): PlayedSplit {
  const split = splitUsers(data, {
    seed,
    embeddings: embeddingsOf(embeddings, data),
    ...(users === undefined ? {} : { users }),
  });
  const basis = basisFromEmbeddings([...split.items.values()], { rank: 4, scalingFactor: 1, seed });
  return { split, seed, basis, hostile: hostileUsers(split, seed) };
}

/** Plays a split through one row. */
export async function playRow(played: PlayedSplit, name: string): Promise<RowResult> {
  const { split, hostile } = played;
  const result = await ROWS[name]!(played);
  return { users: split.heldOut.size, updates: split.batches.length, hostile, ...result };
}

function deploy(
  { split, basis }: PlayedSplit,
  consolidation: Consolidation,
  more: { priorVariance?: number; basis?: null } = {},
): Promise<MemoryDeployment> {
  const { meanReward } = split;
  return MemoryDeployment.create({
    embeddingDim: basis.embeddingDim,
    basis,
    meanReward,
    consolidation,
    ...more,
  });
}

async function contest(split: Split, contender: Contender) {
  return { results: await runContender(split, contender) };
}

function contestOf({ split }: PlayedSplit, deployment: MemoryDeployment) {
  return contest(split, deployed(deployment, split.items));
}

function hostileUsers({ heldOut }: Split, seed: number): Set<string> {
  const userIds = createRandom(`hostile ${seed}`).shuffle([...heldOut.keys()].sort());
  return new Set(userIds.slice(0, Math.ceil(userIds.length / HOSTILE)));
}

/** The same events, with opposite feedback of some users. */
function withLies(split: Split, liars: ReadonlySet<string>): Split {
  const told = (batch: Batch): Batch =>
    liars.has(batch.userId)
      ? {
          ...batch,
          interactions: batch.interactions.map((interaction) => ({
            ...interaction,
            reward: 1 - interaction.reward,
          })),
        }
      : batch;
  return { ...split, batches: split.batches.map(told) };
}
