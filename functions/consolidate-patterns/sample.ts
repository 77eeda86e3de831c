import type { StoredAdapter } from '../../shared/adapters/adapter-object.ts';
import type { AdapterStore } from '../../shared/adapters/adapter-store.ts';
import { fitsDeployment } from '../../shared/adapters/compatibility.ts';
import type { FunctionSettings } from '../../shared/config/settings.ts';
import type { CorruptObjectError } from '../../shared/errors.ts';
import { adoptBasis, type BayesianState } from '../../shared/lora/bayesian.ts';
import { knowsBasisOf } from '../../shared/lora/learner.ts';
import { picksOf } from '../../shared/lora/picks.ts';
import type { Model } from '../../shared/lora/training.ts';
import type { SampledPicks } from '../../shared/population/choice-fit.ts';

/** The learner's state of one sampled user. */
export interface SampledState {
  readonly userKey: string;
  readonly state: BayesianState;
}

const PARALLEL_READS = 16;

/**
 * The states of users, in the order of their keys. Forgotten users and adapters of other settings
 * are skipped.
 */
export async function loadStates(
  userKeys: readonly string[],
  adapters: Pick<AdapterStore, 'find'>,
  settings: FunctionSettings,
  onCorrupt: (error: CorruptObjectError) => void,
): Promise<SampledState[]> {
  const states: SampledState[] = [];
  for await (const adapter of loadAll(userKeys, adapters, onCorrupt))
    states.push(...stateOf(adapter, settings));
  return states;
}

/** The adapters of users, in the order of their keys; forgotten users are skipped. */
export async function* loadAll(
  userKeys: readonly string[],
  adapters: Pick<AdapterStore, 'find'>,
  onCorrupt: (error: CorruptObjectError) => void,
): AsyncGenerator<StoredAdapter, void, undefined> {
  const load = async (userKey: string) => {
    const { adapter, damage } = await adapters.find(userKey);
    if (damage !== undefined) onCorrupt(damage);
    return adapter;
  };
  const inOrder = userKeys.toSorted();
  for (let at = 0; at < inOrder.length; at += PARALLEL_READS) {
    for (const adapter of await Promise.all(inOrder.slice(at, at + PARALLEL_READS).map(load))) {
      if (adapter !== undefined) yield adapter;
    }
  }
}

function stateOf(adapter: StoredAdapter, settings: FunctionSettings): SampledState[] {
  const { userKey, state } = adapter;
  return state.learner === 'bayesian' && fitsDeployment(adapter, settings) ? [{ userKey, state }] : [];
}

/**
 * The sums of users under the model's basis. Users whose sums cannot be carried over to it are
 * skipped.
 */
export function statisticsUnder(model: Model, states: readonly SampledState[]): SampledPicks[] {
  return states
    .filter(({ state }) => knowsBasisOf(model, state))
    .map(({ userKey, state }) => {
      const { statistics, picks } = adoptBasis(state, model);
      return { userKey, statistics, picks: picks ?? picksOf(statistics) };
    });
}
