import type { AttuneFunction } from './attune-function.ts';
import type { ConsolidatePatterns } from './consolidate-patterns.ts';
import type { FeedbackQueue } from './feedback-queue.ts';
import type { AttuneMetrics } from './metrics.ts';
import type { ReasoningTable } from './reasoning-table.ts';

/** The parts of the stack that alarms and dashboard monitor. */
export interface MonitoredParts {
  readonly feedback: FeedbackQueue;
  readonly bank: ReasoningTable;
  readonly update: AttuneFunction;
  readonly consolidate: ConsolidatePatterns;
  readonly personalize: AttuneFunction;
  readonly metrics: AttuneMetrics;
  /** Schedule expression of consolidation. */
  readonly schedule: string;
}
