import type { EmbeddingKind } from '../../../shared/datasets/item-embeddings.ts';
import type { RatingsData } from '../../../shared/datasets/ratings.ts';
import { basisFromEmbeddings } from '../../../shared/lora/basis.ts';
import { createRandom } from '../../../shared/lora/random.ts';
import { type Consolidation, MemoryDeployment } from './deployment.ts';
import { userMeans } from './reference-contenders.ts';
import { deployed, eventOf, runContender, type UserResult } from './run.ts';
import { seedAlgorithm } from './seed-contender.ts';
import { type Batch, type Split, splitUsers, withItemsShuffled } from './split.ts';

/** Prior variances τ² among which the engine without a bank gets the best, in hindsight. */
export const PRIOR_VARIANCES = [1, 3, 10, 30, 60, 100] as const;
/** One user in so many lies, in the row `bank-hostile`. */
const HOSTILE = 20;

export interface SplitOptions {
  readonly kind: EmbeddingKind;
  readonly seed: number;
  /** Users online at most. */
  readonly users?: number;
  /** Only the rows that the bars need. */
  readonly quick?: boolean;
  /** Called before every row. */
  readonly onRow: () => void;
}

export interface SplitResult {
  readonly users: number;
  readonly updates: number;
  /** By name of the row; `no-bank τ²=10` and so on are the candidates of the row `no-bank`. */
  readonly rows: ReadonlyMap<string, readonly UserResult[]>;
  /** Users who lied in the row `bank-hostile`. */
  readonly hostile: ReadonlySet<string>;
  /** What the last change of basis missed of the features' variance, by name of the row. */
  readonly carryOverLosses: ReadonlyMap<string, number>;
}

/** Plays one split through every row. */
export async function playSplit(data: RatingsData, options: SplitOptions): Promise<SplitResult> {
  const { kind, seed, users, quick = false, onRow } = options;
  const split = splitUsers(data, { seed, kind, ...(users === undefined ? {} : { users }) });
  const { items, meanReward } = split;
  const basis = basisFromEmbeddings([...items.values()], { rank: 4, scalingFactor: 1, seed });
  const embeddingDim = basis.embeddingDim;
  const hostile = hostileUsers(split, seed);
  const deploy = (consolidation: Consolidation, more: { priorVariance?: number; basis?: null } = {}) =>
    MemoryDeployment.create({ embeddingDim, basis, meanReward, consolidation, ...more });

  const rows = new Map<string, readonly UserResult[]>();
  const play = async (name: string, run: () => Promise<readonly UserResult[]>) => {
    onRow();
    rows.set(name, await run());
  };
  await play('no-adapter', () => runContender(split, userMeans(meanReward)));
  await play('item-mean', () => runContender(split, userMeans(meanReward, split.itemMeans)));
  for (const priorVariance of quick ? [10, 30] : PRIOR_VARIANCES) {
    await play(`no-bank τ²=${priorVariance}`, async () =>
      runContender(split, deployed(await deploy('never', { priorVariance }), items)),
    );
  }
  await play('bank', async () => runContender(split, deployed(await deploy('hourly'), items)));
  await play('bank-without-items', async () =>
    runContender(split, deployed(await deploy('hourly'), items, { withItemIds: false })),
  );
  const shuffled = withItemsShuffled(split, seed);
  await play('control', async () => runContender(shuffled, deployed(await deploy('hourly'), items)));
  const carryOverLosses = new Map<string, number>();
  const playAndLook = (name: string, run: (deployment: MemoryDeployment) => Promise<readonly UserResult[]>) =>
    play(name, async () => {
      const deployment = await deploy('hourly', { basis: null });
      const results = await run(deployment);
      const loss = await deployment.carryOverLoss();
      if (loss !== undefined) carryOverLosses.set(name, loss);
      return results;
    });
  await playAndLook('bank-no-catalogue', (deployment) => runContender(split, deployed(deployment, items)));
  if (!quick) {
    await playAndLook('bank-basis-change', (deployment) => {
      const contender = deployed(deployment, items);
      const change = Math.floor(split.batches.length / 2);
      let learned = 0;
      return runContender(split, {
        ...contender,
        async learn(batch) {
          if (learned++ === change) await deployment.provideBasis([...items.values()]);
          return contender.learn(batch);
        },
      });
    });
    await play('seed', () => runContender(split, seedAlgorithm(split, seed)));
    await play('bank-by-count', async () => runContender(split, deployed(await deploy('by-count'), items)));
    await play('bank-prefilled', async () => {
      const deployment = await deploy('hourly');
      for (const batch of split.otherBatches) await deployment.update(eventOf(batch, items, true));
      await deployment.consolidate(true);
      return runContender(split, deployed(deployment, items));
    });
    await play('bank-hostile', async () =>
      runContender(withLies(split, hostile), deployed(await deploy('hourly'), items)),
    );
  }
  return { users: split.heldOut.size, updates: split.batches.length, rows, hostile, carryOverLosses };
}

function hostileUsers({ heldOut }: Split, seed: number): Set<string> {
  const userIds = createRandom(`hostile ${seed}`).shuffle([...heldOut.keys()].sort());
  return new Set(userIds.slice(0, Math.ceil(userIds.length / HOSTILE)));
}

/** The same events, but some users say the opposite of what they think. */
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
