import { Stack } from 'aws-cdk-lib';
import {
  type Alarm,
  AlarmStatusWidget,
  Dashboard,
  GraphWidget,
  type IMetric,
} from 'aws-cdk-lib/aws-cloudwatch';
import type { Construct } from 'constructs';
import { METRICS } from './metrics.ts';
import type { MonitoredParts } from './monitored-parts.ts';

/**
 * Adds the dashboard: alarms, feedback, consolidation, the table, learning results and the
 * functions.
 */
export function addDashboard(
  scope: Construct,
  id: string,
  parts: MonitoredParts,
  alarms: Alarm[],
): Dashboard {
  const { feedback, update, consolidate, personalize, bank } = parts;
  const functions = [update, consolidate.function, personalize];
  return new Dashboard(scope, id, {
    dashboardName: Stack.of(scope).stackName,
    widgets: [
      [new AlarmStatusWidget({ title: 'Alarms', width: 24, alarms })],
      [
        graph('Feedback', METRICS.interactionsApplied, METRICS.eventsApplied, METRICS.eventsDuplicate),
        graph('From event to effect (ms)', METRICS.eventToEffectMedian, METRICS.eventToEffectTail),
        graph(
          'Queue',
          feedback.queue.metricApproximateNumberOfMessagesVisible(),
          feedback.queue.metricApproximateAgeOfOldestMessage(),
        ),
      ],
      [
        graph('Trouble', METRICS.eventsQuarantined, METRICS.conflicts, METRICS.episodesPending),
        graph('Consolidation', METRICS.consolidations, METRICS.skillsCreated),
        graph(
          'Table (request units)',
          bank.table.metricConsumedReadCapacityUnits(),
          bank.table.metricConsumedWriteCapacityUnits(),
        ),
      ],
      [
        graph(
          'Loss, adapters against none',
          METRICS.lossChange,
          METRICS.lossChangeLow,
          METRICS.lossChangeHigh,
        ),
        graph(
          'Reward, served less held out',
          METRICS.rewardDifference,
          METRICS.rewardDifferenceLow,
          METRICS.rewardDifferenceHigh,
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
