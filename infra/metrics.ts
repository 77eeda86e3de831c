import { Duration } from 'aws-cdk-lib';
import { Metric } from 'aws-cdk-lib/aws-cloudwatch';
import { DIMENSION, METRIC, METRIC_NAMESPACE, SERVICE } from '../shared/config/names.ts';

/**
 * The functions' metrics for alarms and dashboard, with their statistics over five minutes.
 * @param deployment value of the dimension `stack`, which keeps deployments of one account apart
 */
export function metricsOf(deployment: string) {
  const metric = (metricName: string, statistic: string) =>
    new Metric({
      namespace: METRIC_NAMESPACE,
      metricName,
      dimensionsMap: { [DIMENSION.service]: SERVICE, [DIMENSION.deployment]: deployment },
      statistic,
      period: Duration.minutes(5),
    });
  return {
    interactionsApplied: metric(METRIC.interactionsApplied, 'Sum'),
    eventsApplied: metric(METRIC.eventsApplied, 'Sum'),
    eventsDuplicate: metric(METRIC.eventsDuplicate, 'Sum'),
    eventsQuarantined: metric(METRIC.eventsQuarantined, 'Sum'),
    eventsGivenBack: metric(METRIC.eventsGivenBack, 'Sum'),
    corruptObjects: metric(METRIC.corruptObjects, 'Sum'),
    requestsFailed: metric(METRIC.requestsFailed, 'Sum'),
    consolidationsEffective: metric(METRIC.consolidationsEffective, 'Sum'),
    priorsAccepted: metric(METRIC.priorsAccepted, 'Sum'),
    priorsRefused: metric(METRIC.priorsRefused, 'Sum'),
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
    pickPercentile: metric(METRIC.pickPercentile, 'Average'),
    pickPercentileHigh: metric(METRIC.pickPercentileHigh, 'Maximum'),
    rewardDifferenceHigh: metric(METRIC.rewardDifferenceHigh, 'Average'),
  };
}

export type AttuneMetrics = ReturnType<typeof metricsOf>;
