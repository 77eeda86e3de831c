import {
  type ConsolidationReport,
  type ConsolidationServices,
  consolidate,
} from '../../../functions/consolidate-patterns/consolidate.ts';
import { updateUser } from '../../../functions/update-adapters/update-user.ts';
import { AdapterCache } from '../../../shared/adapters/adapter-cache.ts';
import { AdapterStore } from '../../../shared/adapters/adapter-store.ts';
import type { FunctionSettings } from '../../../shared/config/settings.ts';
import { userKey } from '../../../shared/config/user-key.ts';
import type { ScoredItem } from '../../../shared/contract/answers.ts';
import { cellOf, type Outcome } from '../../../shared/episodes/episode.ts';
import { InMemoryEpisodeStore } from '../../../shared/episodes/in-memory-episode-store.ts';
import { PendingEpisodes } from '../../../shared/episodes/pending-episodes.ts';
import type { FeedbackEvent } from '../../../shared/feedback/event.ts';
import { type Basis, basisFromEmbeddings, coefficientCount } from '../../../shared/lora/basis.ts';
import { carryOversTo } from '../../../shared/lora/carry-over.ts';
import { initialPrior } from '../../../shared/lora/prior.ts';
import { nextDue } from '../../../shared/population/episode-progress.ts';
import { initialPopulationModel } from '../../../shared/population/population-model.ts';
import { learningObjects, readSharedLearning } from '../../../shared/population/shared-learning.ts';
import { personalize } from '../../../shared/serving/personalize.ts';
import { Lease } from '../../../shared/storage/lease.ts';
import { MemoryObjects } from './memory-objects.ts';

export interface DeploymentOptions {
  readonly embeddingDim: number;
  /** null: consolidation learns one. */
  readonly basis: Basis | null;
  /** g0, known from the start. */
  readonly meanReward: number;
  /** τ² of the initial prior; default 10. */
  readonly priorVariance?: number;
  /** Default: learner bayesian, without exploration. */
  readonly learner?: Partial<Pick<FunctionSettings, 'learner' | 'learningRate' | 'exploration'>>;
  /** When consolidation runs, if ever. */
  readonly consolidation: Consolidation;
}

/**
 * `hourly`: at every full hour of the data's own time; the function itself decides whether to fit.
 * `by-count`: at any time, as soon as the episodes have grown by a quarter.
 */
export type Consolidation = 'hourly' | 'by-count' | 'never';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/**
 * The functions' own use cases on stores in memory: the same code that runs in Lambda, without the
 * network.
 */
export class MemoryDeployment {
  readonly objects = new MemoryObjects();
  /** Of all runs of consolidation that were due so far. */
  readonly reports: ConsolidationReport[] = [];
  readonly settings: FunctionSettings;
  readonly #services: ConsolidationServices;
  readonly #cache = new AdapterCache(1024 * 1024 * 1024);
  readonly #consolidation: Consolidation;
  #now = 1;
  #updates = 0;
  #consolidatedUpdates = 0;
  #consolidatedAt = 0;
  #outcome: Outcome | undefined;

  private constructor({ embeddingDim, consolidation, learner = {} }: DeploymentOptions) {
    this.settings = {
      embeddingDim,
      embeddingModel: 'benchmark',
      rank: 4,
      scalingFactor: 1,
      learner: 'bayesian',
      learningRate: 1,
      exploration: 0,
      ...learner,
      episodeTtlDays: 90,
      transfer: 'on',
      holdout: 0,
      bucket: 'memory',
      table: 'memory',
    };
    this.#consolidation = consolidation;
    const now = () => this.#now;
    this.#services = {
      cell: cellOf(this.settings),
      settings: this.settings,
      learning: learningObjects(this.objects, this.settings, { maxAgeMs: 1, now }),
      adapters: new AdapterStore(this.objects),
      // No episode expires: the data spreads some hundreds of users over twenty years, so that the
      // default of 90 days leaves too few to learn a basis without a catalogue. A test of
      // consolidation covers expired first episodes.
      episodes: new InMemoryEpisodeStore({ ttlDays: 36_500, now }),
      pending: new PendingEpisodes(this.objects),
      lease: new Lease(this.objects, cellOf(this.settings)),
      onCorrupt: (error) => {
        throw error;
      },
      now,
    };
  }

  static async create(options: DeploymentOptions): Promise<MemoryDeployment> {
    const deployment = new MemoryDeployment(options);
    const { learning } = deployment.#services;
    const { basis, meanReward, priorVariance } = options;
    if (basis !== null) {
      await learning.basis.refresh();
      await learning.basis.write({ basis, embeddingModel: deployment.settings.embeddingModel });
    }
    const basisId = basis?.id ?? null;
    const prior = initialPrior(basisId, coefficientCount(basis), {
      meanReward,
      relativeVariance: priorVariance,
    });
    await learning.population.refresh();
    await learning.population.write({
      ...initialPopulationModel(basis),
      version: 1,
      prior,
    });
    return deployment;
  }

  /** Runs consolidation if it was due, then applies one event as the update function does. */
  async update(event: FeedbackEvent): Promise<Outcome> {
    const occurredAt = Date.parse(event.occurredAt);
    if (this.#consolidation === 'hourly') await this.#runSchedule(occurredAt);
    this.#now = Math.max(this.#now + 1, occurredAt);
    const { learning, adapters, episodes, pending, now } = this.#services;
    this.#outcome = undefined;
    await updateUser(userKey(event.userId), [event], await readSharedLearning(learning, this.settings), {
      settings: this.settings,
      adapters,
      cache: this.#cache,
      pending,
      freshLearning: () => readSharedLearning(learning, this.settings, 'refresh'),
      now,
      episodes: {
        store: (episode) => {
          this.#outcome = episode.outcome;
          return episodes.store(episode);
        },
      },
      backOff: async () => {},
      onConflict: () => {},
      onPending: (error) => {
        throw error;
      },
    });
    this.#updates += 1;
    if (this.#consolidation === 'by-count' && this.#updates >= nextDue(this.#consolidatedUpdates)) {
      await this.consolidate();
    }
    return this.#outcome!;
  }

  /** The hourly runs before `until` that may find enough; the others change nothing. */
  async #runSchedule(until: number): Promise<void> {
    const nextHour = fullHourFrom(this.#now + 1);
    const runs = [nextHour, Math.max(nextHour, fullHourFrom(this.#consolidatedAt + DAY_MS))];
    for (const run of runs) {
      if (this.#updates === this.#consolidatedUpdates || run > until) return;
      this.#now = run;
      await this.consolidate();
    }
  }

  async consolidate(force = false): Promise<ConsolidationReport> {
    this.#now += 1;
    const report = await consolidate(this.#services, { force, settleSeconds: 0 });
    if (report.status !== 'too-little-new') {
      this.reports.push(report);
      this.#consolidatedUpdates = this.#updates;
      this.#consolidatedAt = this.#now;
    }
    this.#now += 1;
    return report;
  }

  /** Computes a basis from a catalogue and stores it, as `attune basis build` does. */
  async provideBasis(catalogue: readonly Float32Array[]): Promise<void> {
    const { basis: stored } = this.#services.learning;
    const { rank, scalingFactor, embeddingModel } = this.settings;
    const basis = basisFromEmbeddings(catalogue, { rank, scalingFactor, seed: 1 });
    const carryOvers = carryOversTo(basis, await stored.refresh(), catalogue);
    await stored.write({ basis, embeddingModel, carryOvers });
  }

  /**
   * Share of the features' variance that the last change of basis missed; undefined when there was
   * none.
   */
  async carryOverLoss(): Promise<number | undefined> {
    return (await this.#services.learning.basis.read())?.carryOvers?.[0]?.loss;
  }

  /** Predicted rewards as the personalize function answers them, in the order of the candidates. */
  async scores(
    userId: string,
    candidates: readonly { itemId?: string; embedding: Float32Array }[],
  ): Promise<number[]> {
    const { learning, adapters } = this.#services;
    const answer = await personalize(
      { userId, candidates, answer: 'scores', explain: false },
      {
        settings: this.settings,
        adapters,
        cache: this.#cache,
        learning: () => readSharedLearning(learning, this.settings),
        neighbours: () => learning.neighbours.read(),
        freshLearning: () => readSharedLearning(learning, this.settings, 'refresh'),
      },
    );
    const scores = new Array<number>(candidates.length).fill(0);
    for (const { index, score } of answer.items as readonly ScoredItem[]) scores[index] = score;
    return scores;
  }
}

function fullHourFrom(time: number): number {
  return Math.ceil(time / HOUR_MS) * HOUR_MS;
}
