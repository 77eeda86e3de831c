import { Duration } from 'aws-cdk-lib';
import {
  Alarm,
  ComparisonOperator,
  type IAlarmAction,
  type IMetric,
  MathExpression,
  TreatMissingData,
} from 'aws-cdk-lib/aws-cloudwatch';
import { Construct } from 'constructs';
import type { AttuneFunction } from './attune-function.ts';
import { METRICS } from './metrics.ts';
import type { MonitoredParts } from './monitored-parts.ts';
import { longestGap } from './schedule-gap.ts';

const FIVE_MINUTES = Duration.minutes(5);
/** CloudWatch looks back seven days at most, and a missed run shows after two intervals. */
const LONGEST_WATCHED_GAP = Duration.hours(84);

interface AlarmCase {
  readonly metric: IMetric;
  readonly threshold: number;
  /** What has happened, and what to look at first. */
  readonly runbook: string;
  /** Periods in a row; default 1. */
  readonly periods?: number;
  readonly comparison?: ComparisonOperator;
  /** What it means that there is no measurement; by default that all is well. */
  readonly missing?: TreatMissingData;
}

/** One alarm for each way in which Attune stops doing its work. */
export class Alarms extends Construct {
  readonly all: Alarm[] = [];
  readonly #action: IAlarmAction | undefined;

  /** @param action what an alarm does when it goes off and when it is over; nothing when undefined */
  constructor(scope: Construct, id: string, parts: MonitoredParts, action: IAlarmAction | undefined) {
    super(scope, id);
    this.#action = action;
    this.watchFeedback(parts);
    this.watchConsolidation(parts);
    this.watchFunction('UpdateAdapters', parts.update);
    this.watchFunction('ConsolidatePatterns', parts.consolidate.function);
    this.watchFunction('Personalize', parts.personalize);
  }

  private watchFeedback({ feedback }: MonitoredParts): void {
    this.add('FeedbackDeadLetters', {
      metric: feedback.deadLetters.metricApproximateNumberOfMessagesVisible({ period: FIVE_MINUTES }),
      threshold: 1,
      runbook:
        'Feedback events failed every retry and wait in the dead-letter queue. Read the errors of update-adapters, ' +
        'remove their cause, then redrive the queue: applied events are recognised and count once.',
    });
    this.add('FeedbackAge', {
      metric: feedback.queue.metricApproximateAgeOfOldestMessage({ period: FIVE_MINUTES }),
      threshold: Duration.minutes(10).toSeconds(),
      periods: 2,
      runbook:
        'Feedback waits for more than 10 minutes. Look at throttles and errors of update-adapters; if it only has too ' +
        'much to do, raise the setting maxConcurrency.',
    });
    this.add('BankDegraded', {
      metric: METRICS.episodesPending,
      threshold: 1,
      periods: 3,
      runbook:
        'Adapters are updated, but for 15 minutes episodes have not reached the ReasoningBank and wait under pending/. ' +
        'Look for throttled requests of the table; raise tableMaxWriteUnits if its limit is the cause.',
    });
  }

  private watchConsolidation({ consolidate, schedule }: MonitoredParts): void {
    this.add('ConsolidationFailures', {
      metric: consolidate.failures.metricApproximateNumberOfMessagesVisible({ period: FIVE_MINUTES }),
      threshold: 1,
      runbook:
        'A consolidation failed every retry. The message in the failure queue holds the error; the next run does the ' +
        'same work, so purge the queue once a run has succeeded.',
    });
    const gap = longestGap(schedule);
    if (gap === undefined || gap.toMinutes() > LONGEST_WATCHED_GAP.toMinutes()) return;
    const period = gap.toMinutes() < 60 ? FIVE_MINUTES : Duration.hours(1);
    this.add('ConsolidationMissed', {
      metric: new MathExpression({
        label: 'Consolidations that succeeded',
        expression: 'FILL(invocations, 0) - FILL(errors, 0)',
        usingMetrics: {
          invocations: consolidate.function.metricInvocations({ period }),
          errors: consolidate.function.metricErrors({ period }),
        },
        period,
      }),
      threshold: 1,
      comparison: ComparisonOperator.LESS_THAN_THRESHOLD,
      periods: Math.ceil((2 * gap.toMinutes()) / period.toMinutes()),
      missing: TreatMissingData.BREACHING,
      runbook:
        'No consolidation has succeeded for two intervals (expected right after the first deployment). See whether ' +
        'the schedule is enabled and what consolidate-patterns logged: new users start from an old prior until then.',
    });
  }

  private watchFunction(name: string, fn: AttuneFunction): void {
    this.add(`${name}Errors`, {
      metric: fn.metricErrors({ period: FIVE_MINUTES }),
      threshold: 1,
      runbook: `${name} threw, ran out of time or memory. Filter its log group for level ERROR.`,
    });
    this.add(`${name}Throttles`, {
      metric: fn.metricThrottles({ period: FIVE_MINUTES }),
      threshold: 1,
      runbook: `${name} was refused an execution. Compare the account's Lambda concurrency quota with what runs.`,
    });
    this.add(`${name}Duration`, {
      metric: fn.metricDuration({ period: FIVE_MINUTES, statistic: 'p99' }),
      threshold: 0.8 * fn.limit.toMilliseconds(),
      comparison: ComparisonOperator.GREATER_THAN_THRESHOLD,
      runbook: `${name} is close to its timeout. Its traces show which call takes the time.`,
    });
  }

  private add(id: string, { metric, threshold, runbook, periods = 1, comparison, missing }: AlarmCase): void {
    const alarm = new Alarm(this, id, {
      metric,
      threshold,
      evaluationPeriods: periods,
      comparisonOperator: comparison ?? ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: missing ?? TreatMissingData.NOT_BREACHING,
      alarmDescription: runbook,
    });
    if (this.#action) {
      alarm.addAlarmAction(this.#action);
      alarm.addOkAction(this.#action);
    }
    this.all.push(alarm);
  }
}
