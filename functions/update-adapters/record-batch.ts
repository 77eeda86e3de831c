import { METRIC } from '../../shared/config/names.ts';
import { MetricUnit, type Telemetry } from '../../shared/config/telemetry.ts';
import type { BatchReport } from './process-batch.ts';

/** Records the report of a batch as metrics, and logs the messages that went to quarantine. */
export function recordBatch(report: BatchReport, { logger, metrics }: Telemetry): void {
  const counts = {
    [METRIC.updates]: report.updates,
    [METRIC.eventsApplied]: report.applied.length,
    [METRIC.interactionsApplied]: report.applied.reduce((sum, { interactions }) => sum + interactions, 0),
    [METRIC.eventsDuplicate]: report.duplicates,
    [METRIC.eventsQuarantined]: report.quarantined.length,
    [METRIC.eventsForgotten]: report.forgotten,
  };
  for (const [name, value] of Object.entries(counts)) metrics.addMetric(name, MetricUnit.Count, value);
  if (report.failed.length > 0)
    metrics.addMetric(METRIC.eventsGivenBack, MetricUnit.Count, report.failed.length);
  for (const { delayMs } of report.applied) {
    metrics.addMetric(METRIC.eventToEffect, MetricUnit.Milliseconds, delayMs);
  }
  for (const { messageId, code } of report.quarantined)
    logger.warn('message quarantined', { messageId, code });
  if (report.applied.length > 0)
    logger.info('events applied', { eventIds: report.applied.map(({ eventId }) => eventId) });
  metrics.publishStoredMetrics();
}
