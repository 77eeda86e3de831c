import { taskOf } from '../episodes/adaptation-context.ts';
import { episodeReward, outcomeOf, succeeded } from '../episodes/outcome.ts';
import type { LearnerName } from '../lora/learner.ts';
import type { PredictedReward } from '../lora/prequential.ts';
import type { NewPattern } from '../reasoning-bank/bank.ts';
import type { UserLoRAAdapter } from './adapter.ts';

/** One update with its settings and results. */
export interface UpdateReport {
  readonly sessionId: string;
  readonly learner: LearnerName;
  readonly before: UserLoRAAdapter;
  readonly after: UserLoRAAdapter;
  readonly batchSize: number;
  readonly hyperparameters: Readonly<Record<string, number>>;
  /** Whether the bank's advice changed a hyperparameter. */
  readonly hinted: boolean;
  readonly predictions: readonly PredictedReward[];
  /**
   * Mean losses of the update's feedback: before the step without and with the adapter, and after
   * it.
   */
  readonly lossWithoutAdapter: number;
  readonly lossBefore: number;
  readonly lossAfter: number;
  readonly latencyMs: number;
}

/**
 * The update as a pattern for the ReasoningBank. Its outcome is measured before the step, so it
 * shows what earlier steps achieved.
 */
export function patternOf(report: UpdateReport): NewPattern {
  const { before, after, learner, batchSize, predictions, lossBefore, lossAfter, lossWithoutAdapter } =
    report;
  const verdict = { loss: lossBefore, lossWithoutAdapter };
  const success = succeeded(verdict);
  const { rank, embeddingDim } = after;
  const samplesSeen = before.metadata.totalSamples;
  return {
    sessionId: report.sessionId,
    task: taskOf(after.userId, rank, samplesSeen),
    input: JSON.stringify({
      rank,
      embeddingDim,
      learner,
      batchSize,
      previousVersion: before.version,
      previousLoss: before.metadata.avgLoss,
      ...report.hyperparameters,
      hinted: report.hinted,
    }),
    output: JSON.stringify({
      newVersion: after.version,
      avgLoss: after.metadata.avgLoss,
      lossWithoutAdapter,
      lossBefore,
      lossAfter,
      totalSamples: after.metadata.totalSamples,
    }),
    critique:
      `${success ? 'The adapter predicted better' : 'The adapter predicted no better'} than no adapter: ` +
      `loss ${lossBefore.toPrecision(3)} against ${lossWithoutAdapter.toPrecision(3)} before the step, ` +
      `${lossAfter.toPrecision(3)} after it.`,
    success,
    reward: episodeReward(verdict),
    latencyMs: report.latencyMs,
    userId: after.userId,
    version: after.version,
    context: { learner, rank, embeddingDim, samplesSeen, batchSize, loss: lossBefore },
    hyperparameters: report.hyperparameters,
    outcome: outcomeOf(predictions),
  };
}
