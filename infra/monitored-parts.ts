import type { AttuneFunction } from './attune-function.ts';
import type { ConsolidatePatterns } from './consolidate-patterns.ts';
import type { FeedbackQueue } from './feedback-queue.ts';
import type { ReasoningTable } from './reasoning-table.ts';

/** What alarms and the dashboard watch. */
export interface MonitoredParts {
  readonly feedback: FeedbackQueue;
  readonly bank: ReasoningTable;
  readonly update: AttuneFunction;
  readonly consolidate: ConsolidatePatterns;
  readonly personalize: AttuneFunction;
  /** When consolidation is due. */
  readonly schedule: string;
}
