import { applyEvents } from '../../../functions/update-adapters/apply-events.ts';
import type { StoredAdapter } from '../../../shared/adapters/adapter-object.ts';
import { NO_RECENT_ITEMS, pickedItems } from '../../../shared/adapters/recent-items.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import { itemKey } from '../../../shared/episodes/episode.ts';
import type { IndexedEpisode } from '../../../shared/episodes/episode-store.ts';
import { coefficientsFor } from '../../../shared/lora/learner.ts';
import { fitNeighbours, mostTelling, type Neighbours } from '../../../shared/lora/neighbours.ts';
import { initialPriorOf } from '../../../shared/lora/prior.ts';
import { fitChoice, type SampledPicks } from '../../../shared/population/choice-fit.ts';
import { addEpisodes } from '../../../shared/population/episode-progress.ts';
import { gainOf, gainsOf } from '../../../shared/population/gains.ts';
import { tryNeighbours } from '../../../shared/population/neighbour-gate.ts';
import {
  initialPopulationModel,
  itemPartOfKey,
  type PopulationModel,
} from '../../../shared/population/population-model.ts';
import { proposePrior } from '../../../shared/population/prior-fit.ts';
import { combine, learningTo, type Purpose } from '../../../shared/population/shared-learning.ts';
import { sampleOf } from '../../../shared/population/validation-fold.ts';
import { SETTINGS } from '../../support/container.ts';
import type { FeatureTable } from './choice-row.ts';
import type { PickEvent, Split } from './protocol.ts';
import type { Row } from './rows.ts';

/**
 * Attune where every rating is published, by the functions that a deployment runs: updates at every
 * event, item effects, prior and choice model at consolidation.
 */
export class RatingsRow implements Row {
  readonly #split: Split;
  readonly #table: FeatureTable;
  readonly #purpose: Purpose;
  readonly #keys: readonly bigint[];
  /** Those updated last come last. */
  readonly #adapters = new Map<string, StoredAdapter>();
  #population: PopulationModel;
  #neighbours: Neighbours | undefined;
  #found: IndexedEpisode[] = [];

  /** @param purpose `ranking` as `recommend` ranks, `scores` as `personalize` scores candidates */
  constructor(split: Split, table: FeatureTable, purpose: Purpose) {
    this.#split = split;
    this.#table = table;
    this.#purpose = purpose;
    this.#keys = split.itemIds.map(itemKey);
    this.#population = initialPopulationModel(table.basis);
  }

  learn({ user, rated, at }: PickEvent): void {
    const { itemIds, embeddings } = this.#split;
    const { basis } = this.#table;
    const key = userKey(`${user}`);
    const previous = this.#adapters.get(key);
    const event = {
      schemaVersion: 1,
      eventId: `${previous?.version ?? 0}`,
      userId: `${user}`,
      occurredAt: new Date(at).toISOString(),
      interactions: rated.map(({ item, reward }) => ({
        itemId: itemIds[item]!,
        embedding: embeddings[item]!,
        reward,
      })),
    } as const;
    const update = {
      userKey: key,
      settings: { ...SETTINGS, embeddingDim: basis.embeddingDim, rank: basis.rank },
      now: at,
    };
    const { adapter } = applyEvents(previous, [event], combine({ basis }, this.#population), update);
    this.#adapters.delete(key);
    this.#adapters.set(key, adapter!);
    this.#found.push({ episode: adapter!.lastEpisode!, shard: 0, position: '' });
  }

  count(): void {
    const population = this.#population;
    const { items, recent, progress } = addEpisodes(population, this.#found);
    this.#population = { ...population, items, recent, progress, version: population.version + 1 };
    this.#found = [];
  }

  train(): void {
    this.count();
    const { basis } = this.#table;
    const sample = sampleOf([...this.#adapters.keys()].reverse()).flatMap((key) => this.#sampled(key));
    const { prior, evidence, choice } = this.#population;
    const proposal = proposePrior(prior, initialPriorOf(basis), sample, evidence);
    this.#population = {
      ...this.#population,
      ...(proposal?.better ? { prior: proposal.prior, evidence: proposal.evidence } : {}),
      choice: fitChoice(sample, basis.moments, choice),
    };
    const pickers = [...this.#adapters].map(([key, { recentItems }]) => ({
      userKey: key,
      picks: pickedItems(recentItems ?? NO_RECENT_ITEMS),
    }));
    if (!tryNeighbours(pickers).harmful)
      this.#neighbours = fitNeighbours(mostTelling(pickers.map(({ picks }) => picks))) ?? this.#neighbours;
  }

  scores(user: number, _: unknown, out: Float64Array): void {
    const { basis, psi } = this.#table;
    const { population, model } = learningTo(this.#purpose, combine({ basis }, this.#population));
    const adapter = this.#adapters.get(userKey(`${user}`));
    const m = coefficientsFor(adapter?.state, model)!;
    const picked = pickedItems(adapter?.recentItems ?? NO_RECENT_ITEMS);
    const gains =
      this.#neighbours === undefined || population.choice === null ? null : gainsOf(this.#neighbours, picked);
    for (let item = 0; item < out.length; item++) {
      const key = this.#keys[item]!;
      let sum = itemPartOfKey(population, key) + (gains === null ? 0 : gainOf(gains, key));
      for (let i = 0; i < m.length - 1; i++) sum += psi[item]![i]! * m[i]!;
      out[item] = sum;
    }
  }

  #sampled(key: string): SampledPicks[] {
    const { state } = this.#adapters.get(key)!;
    if (state.learner !== 'bayesian' || state.picks === null) return [];
    return [{ userKey: key, statistics: state.statistics, picks: state.picks }];
  }
}
