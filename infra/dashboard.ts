import { Fn, Stack } from 'aws-cdk-lib';
import {
  type Alarm,
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IMetric,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import type { MonitoredParts } from './monitored-parts.ts';

/**
 * Adds the dashboard: alarms, feedback, consolidation, the table, learning results and the
 * functions.
 */
export function addDashboard(
  scope: Construct,
  id: string,
  parts: MonitoredParts,
  { alarms, deploymentName }: { alarms: readonly Alarm[]; deploymentName: string },
): Dashboard {
  const { feedback, update, consolidate, personalize, bank, metrics } = parts;
  const functions = [update, consolidate.function, personalize];
  return new Dashboard(scope, id, {
    // Dashboards of all regions share one namespace.
    dashboardName: Fn.join('-', [deploymentName, Stack.of(scope).region]),
    widgets: [
      alarms.length > 0 ? [new AlarmStatusWidget({ title: 'Alarms', width: 24, alarms: [...alarms] })] : [],
      [
        graph('Feedback', metrics.interactionsApplied, metrics.eventsApplied, metrics.eventsDuplicate),
        graph('From event to effect (ms)', metrics.eventToEffectMedian, metrics.eventToEffectTail),
        graph(
          'Queue',
          feedback.queue.metricApproximateNumberOfMessagesVisible(),
          feedback.queue.metricApproximateAgeOfOldestMessage(),
        ),
      ],
      [
        graph(
          'Trouble',
          metrics.eventsQuarantined,
          metrics.eventsGivenBack,
          metrics.requestsFailed,
          metrics.corruptObjects,
          metrics.conflicts,
          metrics.episodesPending,
        ),
        graph('Consolidation', metrics.consolidations, metrics.skillsCreated),
        graph(
          'Table (request units)',
          bank.table.metricConsumedReadCapacityUnits(),
          bank.table.metricConsumedWriteCapacityUnits(),
        ),
      ],
      [
        graph(
          'Loss, adapters against none',
          metrics.lossChange,
          metrics.lossChangeLow,
          metrics.lossChangeHigh,
        ),
        graph('Where picks ranked (0.5: no better than popularity)', metrics.pickPercentile),
        graph(
          'Reward, served less held out',
          metrics.rewardDifference,
          metrics.rewardDifferenceLow,
          metrics.rewardDifferenceHigh,
        ),
      ],
      [
        graph('Invocations', ...functions.map((fn) => fn.metricInvocations())),
        graph('Errors', ...functions.map((fn) => fn.metricErrors())),
        graph('Duration, p99 (ms)', ...functions.map((fn) => fn.metricDuration({ statistic: 'p99' }))),
      ],
    ],
  });
}

function graph(title: string, ...left: IMetric[]): GraphWidget {
  return new GraphWidget({ title, left, width: 8 });
}
