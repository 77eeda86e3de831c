import { METRIC } from '../../shared/config/names.ts';
import { MetricUnit, type Telemetry } from '../../shared/config/telemetry.ts';
import type { ConsolidationReport } from './consolidate.ts';

const LEARNS_FROM = {
  picks: 'the rewards of nearly all users are equal: from now on each is learned as a pick',
  rewards: 'rewards differ: from now on candidates get predicted rewards',
} as const;

/** Logs the report, and records its counts, the uplift and the ranking of picks as metrics. */
export function recordReport(report: ConsolidationReport, { logger, metrics }: Telemetry): void {
  logger.info('consolidation', { report });
  if (report.learnsAnew) logger.info(LEARNS_FROM[report.learnsFrom]);
  metrics.addMetric(METRIC.consolidations, MetricUnit.Count, 1);
  metrics.addMetric(METRIC.skillsCreated, MetricUnit.Count, report.skillsCreated);
  const isEffective = report.status === 'consolidated';
  metrics.addMetric(METRIC.consolidationsEffective, MetricUnit.Count, isEffective ? 1 : 0);
  // The evidence of a run without effect is that of an earlier one.
  if (isEffective && report.evidence !== null) {
    metrics.addMetric(
      report.priorAccepted ? METRIC.priorsAccepted : METRIC.priorsRefused,
      MetricUnit.Count,
      1,
    );
  }
  const { loss, reward } = report.uplift;
  const percentile = report.pickRanking?.percentile;
  const estimates = {
    [METRIC.lossChange]: loss.mean,
    [METRIC.lossChangeLow]: loss.low,
    [METRIC.lossChangeHigh]: loss.high,
    [METRIC.rewardDifference]: reward.mean,
    [METRIC.rewardDifferenceLow]: reward.low,
    [METRIC.rewardDifferenceHigh]: reward.high,
    [METRIC.pickPercentile]: percentile?.mean ?? null,
    [METRIC.pickPercentileHigh]: percentile?.high ?? null,
  };
  for (const [name, value] of Object.entries(estimates)) {
    if (value !== null) metrics.addMetric(name, MetricUnit.NoUnit, value);
  }
  metrics.publishStoredMetrics();
}
