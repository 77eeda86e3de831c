import type { StoredAdapter } from '../../shared/adapter-store/adapter-object.ts';
import type { AdapterStore } from '../../shared/adapter-store/adapter-store.ts';
import { fitsDeployment } from '../../shared/adapter-store/compatibility.ts';
import { CorruptObjectError } from '../../shared/errors.ts';
import { type Basis, basisFromEmbeddings } from '../../shared/lora/basis.ts';
import { adoptBasis, type BayesianState } from '../../shared/lora/bayesian.ts';
import type { Model } from '../../shared/lora/training.ts';
import type { SampledUser } from '../../shared/reasoning-bank/consolidation.ts';
import type { FunctionSettings } from '../../shared/runtime/settings.ts';

/** A user's state as consolidation read it. */
export interface SampledState {
  readonly userKey: string;
  readonly state: BayesianState;
}

const PARALLEL_READS = 16;
/** With fewer waiting interactions, or of fewer users, a basis would be that of a few tastes. */
const BASIS_FROM = { interactions: 600, users: 10 } as const;

/** The states of some users, in the order of their keys; those who left, or learned under other settings, are left out. */
export async function loadStates(
  userKeys: readonly string[],
  adapters: Pick<AdapterStore, 'load'>,
  settings: FunctionSettings,
  onCorrupt: (error: CorruptObjectError) => void,
): Promise<SampledState[]> {
  const load = (userKey: string) =>
    adapters.load(userKey).catch((error) => {
      if (!(error instanceof CorruptObjectError)) throw error;
      onCorrupt(error);
      return undefined;
    });
  const states: SampledState[] = [];
  const inOrder = userKeys.toSorted();
  for (let at = 0; at < inOrder.length; at += PARALLEL_READS) {
    for (const loaded of await Promise.all(inOrder.slice(at, at + PARALLEL_READS).map(load))) {
      if (loaded !== undefined) states.push(...stateOf(loaded.adapter, settings));
    }
  }
  return states;
}

function stateOf(adapter: StoredAdapter, settings: FunctionSettings): SampledState[] {
  const { userKey, state } = adapter;
  return state.learner === 'bayesian' && fitsDeployment(adapter, settings) ? [{ userKey, state }] : [];
}

/** Every user's sums under the basis in force; those under another one say nothing of it. */
export function statisticsUnder(model: Model, states: readonly SampledState[]): SampledUser[] {
  return states
    .filter(({ state }) => state.basisId === null || state.basisId === model.basis?.id)
    .map(({ userKey, state }) => ({ userKey, statistics: adoptBasis(state, model).statistics }));
}

/**
 * The basis of the items that users gave feedback on, where no catalogue was given: each item counts as often as it was met.
 * Undefined while too few interactions wait for one.
 */
export function basisOfFeedback(
  states: readonly SampledState[],
  { rank, scalingFactor }: Pick<FunctionSettings, 'rank' | 'scalingFactor'>,
): Basis | undefined {
  const waiting = states.map(({ state }) => state.waiting).filter(({ length }) => length > 0);
  const embeddings = waiting.flatMap((interactions) =>
    interactions.map(({ embedding }) => Float32Array.from(embedding)),
  );
  const enough = embeddings.length >= BASIS_FROM.interactions && waiting.length >= BASIS_FROM.users;
  const hasDirection = embeddings.some((embedding) => embedding.some((value) => value !== 0));
  return enough && hasDirection
    ? basisFromEmbeddings(embeddings, { rank, scalingFactor, seed: 'feedback' })
    : undefined;
}
