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
import type { MonitoredParts } from './monitored-parts.ts';
import { longestGap } from './schedule-gap.ts';

const FIVE_MINUTES = Duration.minutes(5);
/** CloudWatch evaluates at most seven days, and the alarm needs two intervals of the schedule. */
const LONGEST_WATCHED_GAP = Duration.hours(84);

/** With fewer events, a share says little about the publisher. */
const REFUSED = { least: 5, period: Duration.minutes(15) };
/**
 * A fit is due when episodes have grown by a quarter, so three fits in a week mean that they have
 * doubled.
 */
const PRIORS = { least: 3, period: Duration.days(7) };

interface AlarmCase {
  readonly metric: IMetric;
  readonly threshold: number;
  /** What happened and what to check first. */
  readonly runbook: string;
  /** Article of docs/runbook.md; default: the name of the alarm. */
  readonly article?: string;
  /** Consecutive periods; default 1. */
  readonly periods?: number;
  readonly comparison?: ComparisonOperator;
  /** How to treat missing data; default: not breaching. */
  readonly missing?: TreatMissingData;
}

/** One alarm for each way in which Attune can stop working. */
export class Alarms extends Construct {
  readonly all: Alarm[] = [];
  readonly #action: IAlarmAction | undefined;

  /** @param action runs when an alarm goes off and when it returns to OK */
  constructor(scope: Construct, id: string, parts: MonitoredParts, action: IAlarmAction | undefined) {
    super(scope, id);
    this.#action = action;
    this.watchFeedback(parts);
    this.watchObjects(parts);
    this.watchConsolidation(parts);
    this.watchSchedule(parts);
    this.watchFunction('UpdateAdapters', parts.update);
    this.watchFunction('ConsolidatePatterns', parts.consolidate.function);
    this.watchFunction('Personalize', parts.personalize);
  }

  private watchFeedback({ feedback, metrics }: MonitoredParts): void {
    this.add('FeedbackDeadLetters', {
      metric: feedback.deadLetters.metricApproximateNumberOfMessagesVisible({ period: FIVE_MINUTES }),
      threshold: 1,
      runbook:
        'Feedback events failed every retry and are in the dead-letter queue. Read the errors of update-adapters, ' +
        'fix the cause, then redrive the queue. Events that were already applied do not count twice.',
    });
    this.add('FeedbackAge', {
      metric: feedback.queue.metricApproximateAgeOfOldestMessage({ period: FIVE_MINUTES }),
      threshold: Duration.minutes(10).toSeconds(),
      periods: 2,
      runbook:
        'Feedback waits for more than 10 minutes. Check update-adapters for throttles and errors. If there are none, ' +
        'the load is too high: raise the setting maxConcurrency.',
    });
    this.add('FeedbackRefused', {
      metric: new MathExpression({
        label: 'Most events are refused',
        expression: `IF(refused >= ${REFUSED.least} AND refused >= applied + known, 1, 0)`,
        usingMetrics: {
          refused: metrics.eventsQuarantined.with({ period: REFUSED.period }),
          applied: metrics.eventsApplied.with({ period: REFUSED.period }),
          known: metrics.eventsDuplicate.with({ period: REFUSED.period }),
        },
        period: REFUSED.period,
      }),
      threshold: 1,
      runbook:
        'At least half of the feedback events of 15 minutes went to quarantine, so nobody learns from them. List them with ' +
        'attune dlq list: the code says what is wrong, most often the embeddings of another model. Fix the publisher, and publish them again.',
    });
    this.add('FeedbackGivenBack', {
      metric: metrics.eventsGivenBack,
      threshold: 1,
      periods: 2,
      runbook:
        'For 10 minutes update-adapters has given events back, which Lambda does not count as errors. Filter its log for level ' +
        'ERROR: access denied, a damaged object or a missing basis. Events go to the dead-letter queue after ten attempts.',
    });
    this.add('BankDegraded', {
      metric: metrics.episodesPending,
      threshold: 1,
      periods: 3,
      runbook:
        'Adapters are updated, but for 15 minutes episodes could not be written to the table and wait under pending/. ' +
        'Check the table for throttled requests. If its limit is the cause, raise tableMaxWriteUnits.',
    });
  }

  private watchObjects({ metrics }: MonitoredParts): void {
    this.add('CorruptObjects', {
      metric: metrics.corruptObjects,
      threshold: 1,
      runbook:
        'An object in the bucket cannot be read. Readers use the version before it, or do without. The logs name its key ' +
        '(an object is damaged); go back with attune model rollback or attune rollback.',
    });
    this.add('RequestsFailed', {
      metric: metrics.requestsFailed,
      threshold: 1,
      runbook:
        'Personalize answered its URL with 500 or 503, which Lambda does not count as errors, or failed an Invoke. Filter its ' +
        'log for level ERROR.',
    });
  }

  private watchConsolidation({ consolidate, metrics }: MonitoredParts): void {
    this.add('ConsolidationFailures', {
      metric: consolidate.failures.metricApproximateNumberOfMessagesVisible({ period: FIVE_MINUTES }),
      threshold: 1,
      runbook:
        'A consolidation failed every retry. attune dlq list --from consolidation prints the error. The next run does ' +
        'the same work, so purge these messages after a run has succeeded.',
    });
    this.add('PriorsRefused', {
      metric: new MathExpression({
        label: 'Priors refused, and none accepted',
        expression: `IF(refused >= ${PRIORS.least} AND FILL(accepted, 0) < 1, 1, 0)`,
        usingMetrics: {
          refused: metrics.priorsRefused.with({ period: PRIORS.period }),
          accepted: metrics.priorsAccepted.with({ period: PRIORS.period }),
        },
        period: PRIORS.period,
      }),
      threshold: 1,
      runbook:
        'In a week every new prior was refused, although episodes doubled, so new users start from an old one. The log of ' +
        'consolidate-patterns says why. Users who answer at random, or whose rewards mean something else, are the usual cause.',
    });
    this.add('PicksRankBadly', {
      metric: metrics.pickPercentileHigh.with({ period: Duration.days(1) }),
      threshold: 0.5,
      comparison: ComparisonOperator.LESS_THAN_THRESHOLD,
      runbook:
        'For a day, taste alone has ranked the picks of users below popularity. Users for whom this is certain get the items ' +
        'that everybody likes. Compare the embeddings of events with those of the catalogue, fix the publisher, and take back ' +
        'what was learned meanwhile.',
    });
  }

  private watchSchedule({ consolidate, schedule, metrics }: MonitoredParts): void {
    const gap = longestGap(schedule);
    if (gap === undefined || gap.toMinutes() > LONGEST_WATCHED_GAP.toMinutes()) return;
    const days = Math.max(1, gap.toDays({ integral: false }));
    this.add('ConsolidationIdle', {
      metric: new MathExpression({
        label: 'Feedback without consolidation',
        expression: 'IF(applied > 0 AND FILL(effective, 0) < 1, 1, 0)',
        usingMetrics: {
          applied: metrics.eventsApplied.with({ period: Duration.days(1) }),
          effective: metrics.consolidationsEffective.with({ period: Duration.days(1) }),
        },
        period: Duration.days(1),
      }),
      threshold: 1,
      periods: Math.ceil(2 * days),
      runbook:
        'Feedback is applied, but every consolidation only answers running or nothing-new, so users learn nothing from each other. ' +
        'Run attune consolidate --if-due to see the cause: a held lease, a table without new episodes, or a failing bank.',
    });
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
        'No consolidation has succeeded for two intervals. This is normal right after the first deployment. Check that ' +
        'the schedule is enabled, and read the log of consolidate-patterns. Until a run succeeds, new users start from an outdated prior.',
    });
  }

  private watchFunction(name: string, fn: AttuneFunction): void {
    this.add(`${name}Errors`, {
      metric: fn.metricErrors({ period: FIVE_MINUTES }),
      threshold: 1,
      article: 'Errors',
      runbook: `${name} threw an error, or ran out of time or memory. Filter its log group for level ERROR.`,
    });
    this.add(`${name}Throttles`, {
      metric: fn.metricThrottles({ period: FIVE_MINUTES }),
      threshold: 1,
      article: 'Throttles',
      runbook: `Lambda throttled ${name}. Compare the account's concurrency quota with the concurrent executions.`,
    });
    this.add(`${name}Duration`, {
      metric: fn.metricDuration({ period: FIVE_MINUTES, statistic: 'p99' }),
      threshold: 0.8 * fn.maxDuration.toMilliseconds(),
      comparison: ComparisonOperator.GREATER_THAN_THRESHOLD,
      article: 'Duration',
      runbook: `${name} is close to its timeout. Its traces show which call is slow.`,
    });
  }

  private add(
    id: string,
    { metric, threshold, runbook, article = id, periods = 1, comparison, missing }: AlarmCase,
  ): void {
    const alarm = new Alarm(this, id, {
      metric,
      threshold,
      evaluationPeriods: periods,
      comparisonOperator: comparison ?? ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: missing ?? TreatMissingData.NOT_BREACHING,
      alarmDescription: `${runbook} Runbook: docs/runbook.md#${article.toLowerCase()}.`,
    });
    if (this.#action) {
      alarm.addAlarmAction(this.#action);
      alarm.addOkAction(this.#action);
    }
    this.all.push(alarm);
  }
}
