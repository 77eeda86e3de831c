import { Duration } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { METRIC, METRIC_NAMESPACE, SERVICE } from '../shared/config/names.ts';

const metric = (metricName: string, statistic: string) =>
  new Metric({
    namespace: METRIC_NAMESPACE,
    metricName,
    dimensionsMap: { service: SERVICE },
    statistic,
    period: Duration.minutes(5),
  });

/** The functions' metrics for alarms and dashboard, with their statistics over five minutes. */
export const METRICS = {
  interactionsApplied: metric(METRIC.interactionsApplied, 'Sum'),
  eventsApplied: metric(METRIC.eventsApplied, 'Sum'),
  eventsDuplicate: metric(METRIC.eventsDuplicate, 'Sum'),
  eventsQuarantined: metric(METRIC.eventsQuarantined, 'Sum'),
  conflicts: metric(METRIC.conflicts, 'Sum'),
  eventToEffectMedian: metric(METRIC.eventToEffect, 'p50'),
  eventToEffectTail: metric(METRIC.eventToEffect, 'p95'),
  episodesPending: metric(METRIC.episodesPending, 'Sum'),
  consolidations: metric(METRIC.consolidations, 'Sum'),
  skillsCreated: metric(METRIC.skillsCreated, 'Sum'),
  lossChange: metric(METRIC.lossChange, 'Average'),
  lossChangeLow: metric(METRIC.lossChangeLow, 'Average'),
  lossChangeHigh: metric(METRIC.lossChangeHigh, 'Average'),
  rewardDifference: metric(METRIC.rewardDifference, 'Average'),
  rewardDifferenceLow: metric(METRIC.rewardDifferenceLow, 'Average'),
  rewardDifferenceHigh: metric(METRIC.rewardDifferenceHigh, 'Average'),
} as const;
