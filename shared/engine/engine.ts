import { randomUUID } from 'node:crypto';
import { queryOf } from '../episodes/adaptation-context.ts';
import { InvalidInputError, UnavailableError } from '../errors.ts';
import { batchForward, forward } from '../lora/forward.ts';
import { resolveHyperparameters } from '../lora/hyperparameters.ts';
import { initialModel, type LearnerName, type LearnerState, learnerOf } from '../lora/learner.ts';
import { NO_PREDICTIONS } from '../lora/prequential.ts';
import type { Model } from '../lora/training.ts';
import type { ReasoningBankInstance } from '../reasoning-bank/bank.ts';
import { BankConnection, type BankConnectionStats } from '../reasoning-bank/bank-connection.ts';
import { recordOf, type SimilarAdaptation, similarAdaptation } from '../reasoning-bank/recalled-pattern.ts';
import { checkedId } from '../validation/id.ts';
import { fisherOf, loraOf, sizeBytesOf, stateOf, type UserLoRAAdapter } from './adapter.ts';
import { decodeUserAdapter, encodeUserAdapter } from './adapter-bytes.ts';
import { hyperparametersOf, type LoRAConfig, type ResolvedConfig, resolveConfig } from './config.ts';
import { patternOf } from './episode-pattern.ts';
import { type AdapterFeedback, interactionsOf, lossOf } from './feedback.ts';
import { mergeUserAdapters } from './merged-adapter.ts';

/** Options of the queries for similar adaptations and advice. */
const QUERY = { k: 5, minReward: 0.7, onlySuccesses: true } as const;
/** Weight of the old value in a running mean. */
const SMOOTHING = 0.9;

/** Preferences of a new user. */
export interface UserPreferences {
  /**
   * What the user likes, as an embedding of length d. The adapter learns it as one item of reward
   * 1.
   */
  vector?: ArrayLike<number>;
}

export interface ReasoningBankStats
  extends Pick<BankConnectionStats, 'enabled' | 'breaker' | 'pending' | 'dropped'> {
  sessionId: string;
  /** Number of cached answers of the bank. */
  cacheSize: number;
  /** Share of queries answered from the cache; 0 before the first. */
  cacheHitRate: number;
}

/**
 * Creates, applies and trains LoRA adapters of users over an application's embeddings, inside the
 * process. A connected ReasoningBank records what training achieved, and gives advice.
 */
export class LoRAPersonalizationEngine {
  readonly #config: ResolvedConfig;
  readonly #sessionId: string;
  readonly #bank: BankConnection;
  /** By learner, as configured. */
  readonly #models = new Map<LearnerName, Model>();

  /** @throws InvalidInputError naming the setting that is out of bounds */
  constructor(config: LoRAConfig = {}) {
    this.#config = resolveConfig(config);
    this.#sessionId = config.sessionId ?? `lora-engine-${randomUUID()}`;
    const { enableReasoningBankCache } = this.#config;
    this.#bank = new BankConnection({
      ...config.bankConnection,
      ...(enableReasoningBankCache ? {} : { cache: false }),
    });
    if (config.reasoningBank !== undefined) this.#bank.connect(config.reasoningBank);
  }

  /** The current settings with defaults, and the connected bank. */
  getConfig(): Omit<ResolvedConfig, 'now' | 'seed'> & { reasoningBank: ReasoningBankInstance | undefined } {
    const { now: _now, seed: _seed, ...config } = this.#config;
    return { ...config, reasoningBank: this.#bank.bank };
  }

  /**
   * A new adapter of version 1 that changes nothing yet: B is zero.
   * @param preferences trains the adapter on what the user likes
   * @throws InvalidInputError
   */
  createAdapter(userId: string, preferences?: UserPreferences): UserLoRAAdapter {
    checkedId(userId, 'userId');
    const { rank, embeddingDim, scalingFactor, learner: name, learningRate } = this.#config;
    const model = this.#model(name);
    const learner = learnerOf(name);
    const shape = { rank, embeddingDim, scale: scalingFactor / rank };
    let state: LearnerState = learner.create(model, shape);
    if (preferences?.vector !== undefined) {
      const liked = { contentEmbedding: Float32Array.from(preferences.vector), reward: 1 };
      const { state: taught } = learner.train(state, model, interactionsOf([liked], embeddingDim));
      state = { ...taught, record: NO_PREDICTIONS };
    }
    const now = this.#config.now();
    return this.#adapterOf(userId, state, model, {
      scalingFactor,
      version: 1,
      createdAt: now,
      updatedAt: now,
      metadata: { totalSamples: 0, avgLoss: 0, learningRate, lastTrainedAt: now, avgInferenceMs: 0 },
    });
  }

  /**
   * The personalised embedding y = x + (scalingFactor/rank)·B·A·x.
   * @param embedding x, length d
   * @returns y, length d
   * @throws InvalidInputError when x has another length than the adapter's
   */
  computeLoRAForward(embedding: Float32Array, adapter: UserLoRAAdapter): Float32Array {
    return forward(loraOf(adapter), embedding);
  }

  /**
   * `computeLoRAForward` of many embeddings, faster than one by one. The results share one buffer.
   */
  batchComputeLoRAForward(embeddings: readonly Float32Array[], adapter: UserLoRAAdapter): Float32Array[] {
    return batchForward(loraOf(adapter), embeddings);
  }

  /**
   * A new adapter, version + 1, that has learned the feedback. Every five interactions of one call
   * are one step. A failing bank costs its advice, never the update.
   * @param feedback without any, the same adapter is returned
   * @throws InvalidInputError when feedback is malformed, or belongs to another dimension or basis;
   * nothing is changed then
   */
  async updateAdapter(
    adapter: UserLoRAAdapter,
    feedback: readonly AdapterFeedback[],
  ): Promise<UserLoRAAdapter> {
    if (feedback.length === 0) return adapter;
    const start = performance.now();
    const state = stateOf(adapter);
    const learner = learnerOf(state.learner);
    const interactions = interactionsOf(feedback, adapter.embeddingDim);
    const { hyperparameters, hinted } = await this.#advisedHyperparameters(adapter, state, feedback.length);
    const model = hinted ? this.#modelOf(state.learner, hyperparameters) : this.#model(state.learner);
    const { state: learned, predictions } = learner.train(state, model, interactions);

    const { metadata } = adapter;
    const { meanReward } = this.#config;
    const solved = learner.solve(learned, model);
    const measured = performance.now();
    const lossAfter = lossOf(solved, interactions, meanReward);
    const avgInferenceMs = (performance.now() - measured) / interactions.length;
    const avgLoss =
      metadata.totalSamples === 0 ? lossAfter : SMOOTHING * metadata.avgLoss + (1 - SMOOTHING) * lossAfter;
    const now = this.#config.now();
    const updated: UserLoRAAdapter = {
      ...adapter,
      ...this.#adapterOf(adapter.userId, learned, model, {
        scalingFactor: adapter.scalingFactor,
        version: adapter.version + 1,
        createdAt: adapter.createdAt,
        updatedAt: now,
        metadata: {
          totalSamples: metadata.totalSamples + feedback.length,
          avgLoss,
          learningRate: hyperparameters.learningRate ?? this.#config.learningRate,
          lastTrainedAt: now,
          avgInferenceMs,
        },
      }),
    };
    if (this.#bank.bank !== undefined) {
      // Without an adapter, the prediction is the user's mean.
      const userMean = predictions[0]?.predictedByUserMean ?? meanReward;
      await this.#bank.store(
        patternOf({
          sessionId: this.#sessionId,
          learner: state.learner,
          before: adapter,
          after: updated,
          batchSize: feedback.length,
          hyperparameters,
          hinted,
          predictions,
          lossWithoutAdapter: lossOf(null, interactions, userMean),
          lossBefore: lossOf(learner.solve(state, model), interactions, meanReward),
          lossAfter,
          latencyMs: performance.now() - start,
        }),
      );
    }
    return updated;
  }

  /** The adapter as bytes: a safetensors file with a checksum, as in the adapter store. */
  serializeAdapter(adapter: UserLoRAAdapter): Uint8Array {
    return encodeUserAdapter(adapter);
  }

  /**
   * Reads what `serializeAdapter` wrote. Matrices are views of `bytes` where alignment allows.
   * @throws CorruptObjectError when the bytes are not exactly what was written
   */
  deserializeAdapter(bytes: Uint8Array): UserLoRAAdapter {
    return decodeUserAdapter(bytes);
  }

  /**
   * The adapter nearest to the weighted mean of the adapters' functions; user 'merged', version 1.
   * Updates continue with the learner 'sgd' from its matrices.
   * @param weights one per adapter, none negative; default: all equal
   * @throws InvalidInputError
   */
  mergeAdapters(adapters: readonly UserLoRAAdapter[], weights?: readonly number[]): UserLoRAAdapter {
    const { now, learningRate } = this.#config;
    return mergeUserAdapters(adapters, weights, { now: now(), learningRate });
  }

  /**
   * Connects to a bank instead of the one before, also during updates.
   * @throws InvalidInputError when it lacks one of the four methods
   */
  connectReasoningBank(bank: ReasoningBankInstance): void {
    this.#bank.connect(bank);
  }

  /** Disconnects the bank and drops its cached answers. */
  disconnectReasoningBank(): void {
    this.#bank.disconnect();
  }

  hasReasoningBank(): boolean {
    return this.#bank.bank !== undefined;
  }

  clearReasoningBankCache(): void {
    this.#bank.clearCache();
  }

  getReasoningBankStats(): ReasoningBankStats {
    const { enabled, breaker, pending, dropped, cache } = this.#bank.stats();
    return {
      enabled,
      sessionId: this.#sessionId,
      cacheSize: cache.size,
      cacheHitRate: cache.hitRate,
      breaker,
      pending,
      dropped,
    };
  }

  /**
   * Lets the bank extract skills from its episodes: `autoConsolidate(minUses, minSuccessRate,
   * lookbackDays)`.
   * @param minSuccessRate least share of a skill's episodes that succeeded. Default 0.85
   * @param minUses least episodes of a skill. Default 5
   * @param lookbackDays Default 30
   * @returns null without a bank
   * @throws whatever the bank throws; UnavailableError when its answer has no `skillsCreated`
   */
  async consolidateAdaptationPatterns(
    minSuccessRate = 0.85,
    minUses = 5,
    lookbackDays = 30,
  ): Promise<{ skillsCreated: number } | null> {
    if (this.#bank.bank === undefined) return null;
    const answer = await this.#bank.consolidate(minUses, minSuccessRate, lookbackDays);
    const skillsCreated = recordOf(answer)?.skillsCreated;
    if (typeof skillsCreated !== 'number') {
      throw new UnavailableError(
        'autoConsolidate of the ReasoningBank: found no skillsCreated, expected a number',
      );
    }
    return { skillsCreated };
  }

  /**
   * Adaptations similar to the user's, from the bank. Malformed patterns are skipped one by one.
   * @param topK most adaptations. Default 5
   * @returns null without a bank; numbers that a pattern lacks are null
   * @throws InvalidInputError
   */
  async getSimilarAdaptations(userId: string, topK = 5): Promise<SimilarAdaptation[] | null> {
    checkedId(userId, 'userId');
    if (!Number.isInteger(topK) || topK < 1)
      throw new InvalidInputError('topK', `${topK}`, 'an integer of at least 1');
    const patterns = await this.#bank.recall(`lora_adaptation_user_${userId}`, { ...QUERY, k: topK });
    return patterns?.flatMap((pattern) => similarAdaptation(pattern) ?? []).slice(0, topK) ?? null;
  }

  /**
   * The configured hyperparameters, changed by the hints of the bank. `hinted`: whether a hint
   * changed anything.
   */
  async #advisedHyperparameters(
    { rank, embeddingDim, metadata }: UserLoRAAdapter,
    { learner }: LearnerState,
    batchSize: number,
  ): Promise<{ hyperparameters: Readonly<Record<string, number>>; hinted: boolean }> {
    const configured = hyperparametersOf(learner, this.#config);
    const { hints } = await this.#bank.advise(
      queryOf({
        learner,
        rank,
        embeddingDim,
        samplesSeen: metadata.totalSamples,
        batchSize,
        loss: metadata.avgLoss,
      }),
      QUERY,
      configured,
    );
    const hyperparameters = resolveHyperparameters(learnerOf(learner).hyperparameters, configured, hints);
    const hinted = Object.entries(hyperparameters).some(([name, value]) => value !== configured[name]);
    return { hyperparameters, hinted };
  }

  #model(name: LearnerName): Model {
    let model = this.#models.get(name);
    if (model === undefined) {
      model = this.#modelOf(name, hyperparametersOf(name, this.#config));
      this.#models.set(name, model);
    }
    return model;
  }

  #modelOf(name: LearnerName, hyperparameters: Readonly<Record<string, number>>): Model {
    return initialModel(name, this.#config.basis, hyperparameters, this.#config.meanReward);
  }

  #adapterOf(
    userId: string,
    state: LearnerState,
    model: Model,
    rest: Pick<UserLoRAAdapter, 'scalingFactor' | 'version' | 'createdAt' | 'updatedAt'> & {
      metadata: Omit<UserLoRAAdapter['metadata'], 'performance'> & { avgInferenceMs: number };
    },
  ): UserLoRAAdapter {
    const { basis, b, offset } = learnerOf(state.learner).solve(state, model);
    const { avgInferenceMs, ...metadata } = rest.metadata;
    // With a basis, or with the learner 'sgd', an adapter always has an A.
    const { rank, embeddingDim, a } = basis!;
    const matrices = { matrixA: a, matrixB: b };
    return {
      userId,
      rank,
      ...matrices,
      scalingFactor: rest.scalingFactor,
      embeddingDim,
      version: rest.version,
      createdAt: rest.createdAt,
      updatedAt: rest.updatedAt,
      fisherInformation: state.learner === 'sgd' && this.#config.useEWC ? fisherOf(state) : undefined,
      metadata: { ...metadata, performance: { avgInferenceMs, sizeBytes: sizeBytesOf(matrices) } },
      offset,
      state,
    };
  }
}

/** @throws InvalidInputError naming the setting that is out of bounds */
export function createLoRAPersonalizationEngine(config?: LoRAConfig): LoRAPersonalizationEngine {
  return new LoRAPersonalizationEngine(config);
}
