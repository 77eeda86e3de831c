import { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { canContinue } from '../../shared/adapters/compatibility.ts';
import { CatalogueReader } from '../../shared/catalogue/catalogue-reader.ts';
import { PREFIX } from '../../shared/config/names.ts';
import type { DeploymentSettings } from '../../shared/config/settings.ts';
import type { LearnerState } from '../../shared/lora/learner.ts';
import { type LearningObjects, readSharedLearning } from '../../shared/population/shared-learning.ts';
import type { Objects } from '../../shared/storage/objects.ts';

/** The content of a stack when it starts. */
export interface Kept {
  readonly users: number;
  readonly interactions: number;
  /** Users whose adapters were learned under other settings. */
  readonly startAnew: number;
  /** Items of the catalogue. */
  readonly items: number;
  /** Id of the current basis; null without one. */
  readonly basis: string | null;
}

/** Interactions that a user's adapter has learned or buffered. */
export function interactionsIn(state: LearnerState): number {
  if (state.learner === 'sgd') return state.count;
  const waitingTargets = state.buffered.filter((interaction) => 'target' in interaction).length;
  return state.statistics.count + (state.targets?.count ?? 0) + waitingTargets;
}

export async function keptIn(
  objects: Objects,
  learning: LearningObjects,
  settings: DeploymentSettings,
): Promise<Kept> {
  const { model, basis } = await readSharedLearning(learning, settings, 'refresh');
  const store = new AdapterStore(objects);
  let users = 0;
  let interactions = 0;
  let startAnew = 0;
  for await (const { key } of objects.list(PREFIX.adapters)) {
    const adapter = (await store.load(key.slice(PREFIX.adapters.length)))?.adapter;
    if (adapter === undefined) continue;
    users += 1;
    interactions += interactionsIn(adapter.state);
    if (!canContinue(adapter, settings, model)) startAnew += 1;
  }
  const manifest = await new CatalogueReader(objects, settings).manifest();
  return {
    users,
    interactions,
    startAnew,
    items: (manifest?.shards ?? []).reduce((sum, shard) => sum + shard.items, 0),
    basis: basis?.id ?? null,
  };
}
