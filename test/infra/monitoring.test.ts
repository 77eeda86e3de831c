import { readFileSync } from 'node:fs';
import type { Template } from 'aws-cdk-lib/assertions';
import { describe, expect, test } from 'vitest';
import { synthesizedTemplate, warningsOf } from './template.ts';

const template = synthesizedTemplate();
const notified = synthesizedTemplate({
  alarmEmail: 'operator@example.org',
  monthlyBudget: 5,
  consolidationSchedule: 'cron(0 3 ? * MON *)',
});

function alarms(of: Template) {
  return Object.entries(of.findResources('AWS::CloudWatch::Alarm')).map(([logicalId, { Properties }]) => ({
    name: logicalId.replace(/^MonitoringAlarms/, '').replace(/[0-9A-F]{8}$/, ''),
    ...Properties,
  }));
}

function alarm(name: string) {
  return alarms(template).find((candidate) => candidate.name === name);
}

test('every way in which Attune can stop working has an alarm whose description says what to do', () => {
  const perFunction = ['UpdateAdapters', 'ConsolidatePatterns', 'Personalize'].flatMap((name) => [
    `${name}Errors`,
    `${name}Throttles`,
    `${name}Duration`,
  ]);
  expect(
    alarms(template)
      .map(({ name }) => name)
      .sort(),
  ).toEqual(
    [
      'FeedbackDeadLetters',
      'FeedbackAge',
      'FeedbackRefused',
      'FeedbackGivenBack',
      'CorruptObjects',
      'RequestsFailed',
      'PriorsRefused',
      'PicksRankBadly',
      'ConsolidationIdle',
      'BankDegraded',
      'ConsolidationFailures',
      'ConsolidationMissed',
      ...perFunction,
    ].sort(),
  );
  for (const { AlarmDescription } of alarms(template)) expect(AlarmDescription).toMatch(/\. .{20,}\.$/);
  for (const { AlarmDescription } of alarms(template)) expect(AlarmDescription.length).toBeLessThan(1024);
});

test('a single dead letter, failed consolidation, error or throttle sets off an alarm', () => {
  for (const name of [
    'FeedbackDeadLetters',
    'ConsolidationFailures',
    'UpdateAdaptersErrors',
    'PersonalizeThrottles',
  ]) {
    expect(alarm(name)).toMatchObject({
      Threshold: 1,
      EvaluationPeriods: 1,
      ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    });
  }
});

test('the duration alarms have a threshold of 80 % of the timeout, in milliseconds', () => {
  expect(alarm('UpdateAdaptersDuration')).toMatchObject({ ExtendedStatistic: 'p99', Threshold: 24_000 });
  expect(alarm('ConsolidatePatternsDuration')).toMatchObject({
    ExtendedStatistic: 'p99',
    Threshold: 240_000,
  });
  expect(alarm('PersonalizeDuration')).toMatchObject({ ExtendedStatistic: 'p99', Threshold: 8_000 });
});

test('the alarm BankDegraded reads the metric of its own stack', () => {
  expect(alarm('BankDegraded')).toMatchObject({
    Namespace: 'Attune',
    MetricName: 'EpisodesPending',
    Dimensions: [
      { Name: 'service', Value: 'attune' },
      { Name: 'stack', Value: 'Attune' },
    ],
  });
});

describe('the alarm ConsolidationMissed', () => {
  test('is the only alarm that treats missing data as breaching', () => {
    for (const { name, TreatMissingData } of alarms(template)) {
      expect([name, TreatMissingData]).toEqual([
        name,
        name === 'ConsolidationMissed' ? 'breaching' : 'notBreaching',
      ]);
    }
  });

  test('goes off after two intervals of the schedule without a success', () => {
    expect(alarm('ConsolidationMissed')).toMatchObject({
      ComparisonOperator: 'LessThanThreshold',
      Threshold: 1,
      EvaluationPeriods: 6,
    });
  });

  test('does not exist for a schedule with an interval too long for CloudWatch', () => {
    expect(alarms(notified).map(({ name }) => name)).not.toContain('ConsolidationMissed');
    expect(alarms(notified)).toHaveLength(alarms(template).length - 2);
  });
});

test('one dashboard has the name of stack and region and shows every alarm', () => {
  const dashboards = Object.values(template.findResources('AWS::CloudWatch::Dashboard'));
  expect(dashboards).toHaveLength(1);
  expect(dashboards[0]?.Properties.DashboardName).toEqual({
    'Fn::Join': ['-', ['Attune', { Ref: 'AWS::Region' }]],
  });
  const body = JSON.stringify(dashboards[0]?.Properties.DashboardBody);
  for (const logicalId of Object.keys(template.findResources('AWS::CloudWatch::Alarm'))) {
    expect(body).toContain(logicalId);
  }
});

describe('e-mail notification', () => {
  test('is off by default: no topic, no budget, no alarm action', () => {
    template.resourceCountIs('AWS::SNS::Topic', 0);
    template.resourceCountIs('AWS::Budgets::Budget', 0);
    for (const each of alarms(template)) expect(each).not.toHaveProperty('AlarmActions');
  });

  test('reaches the address when an alarm goes off and when it returns to OK', () => {
    notified.hasResourceProperties('AWS::SNS::Subscription', {
      Protocol: 'email',
      Endpoint: 'operator@example.org',
    });
    const [topic] = Object.keys(notified.findResources('AWS::SNS::Topic'));
    for (const { AlarmActions, OKActions } of alarms(notified)) {
      expect([AlarmActions, OKActions]).toEqual([[{ Ref: topic }], [{ Ref: topic }]]);
    }
  });

  test('lets CloudWatch publish despite the TLS policy of the topic', () => {
    const [policy] = Object.values(notified.findResources('AWS::SNS::TopicPolicy'));
    expect(policy?.Properties.PolicyDocument.Statement).toContainEqual(
      expect.objectContaining({
        Effect: 'Allow',
        Action: 'sns:Publish',
        Principal: { Service: 'cloudwatch.amazonaws.com' },
      }),
    );
  });

  test('warns when actual or forecast costs reach the budget', () => {
    const [budget] = Object.values(notified.findResources('AWS::Budgets::Budget'));
    expect(budget?.Properties.Budget).toMatchObject({
      BudgetLimit: { Amount: 5, Unit: 'USD' },
      TimeUnit: 'MONTHLY',
    });
    expect(
      budget?.Properties.NotificationsWithSubscribers.map(
        (each: { Notification: { NotificationType: string }; Subscribers: { Address: string }[] }) => [
          each.Notification.NotificationType,
          each.Subscribers[0]?.Address,
        ],
      ),
    ).toEqual([
      ['ACTUAL', 'operator@example.org'],
      ['FORECASTED', 'operator@example.org'],
    ]);
  });
});

test('every alarm has an article of the runbook, and no article is without an alarm', () => {
  const runbook = readFileSync(new URL('../../docs/runbook.md', import.meta.url), 'utf8');
  const articles = [...runbook.matchAll(/^## (\S+)$/gm)].map(([, name]) => name);
  const parts = runbook.split(/^## \S+$/m).slice(1);
  const perFunction = /^(UpdateAdapters|ConsolidatePatterns|Personalize)(Errors|Throttles|Duration)$/;
  const named = new Set(alarms(template).map(({ name }) => name.replace(perFunction, '$2')));
  expect(articles.toSorted()).toEqual([...named].toSorted());
  for (const part of parts)
    expect(part).toMatch(
      /\n- \*\*What it means\.\*\* .*\n- \*\*How to look\.\*\* .*\n- \*\*What to do\.\*\* /s,
    );
  for (const { name, AlarmDescription } of alarms(template)) {
    const anchor = name.replace(perFunction, '$2').toLowerCase();
    expect(AlarmDescription).toContain(`docs/runbook.md#${anchor}`);
  }
});

describe('failures that Lambda does not count as errors', () => {
  test('sets off an alarm: answers 500 and 503, damaged objects and events that are given back', () => {
    for (const [name, MetricName, EvaluationPeriods] of [
      ['RequestsFailed', 'RequestsFailed', 1],
      ['CorruptObjects', 'CorruptObjects', 1],
      ['FeedbackGivenBack', 'EventsGivenBack', 2],
    ] as const) {
      expect(alarm(name)).toMatchObject({ MetricName, Threshold: 1, EvaluationPeriods, Statistic: 'Sum' });
    }
  });

  test('sets off an alarm: a day on which picks ranked worse than popularity', () => {
    expect(alarm('PicksRankBadly')).toMatchObject({
      MetricName: 'PickPercentileHigh',
      Statistic: 'Maximum',
      Period: 86_400,
      Threshold: 0.5,
      ComparisonOperator: 'LessThanThreshold',
      TreatMissingData: 'notBreaching',
    });
  });

  test.each([
    ['FeedbackRefused', 'refused >= 5 AND refused >= applied + known', 900, 1],
    ['PriorsRefused', 'refused >= 3 AND FILL(accepted, 0) < 1', 604_800, 1],
    ['ConsolidationIdle', 'applied > 0 AND FILL(effective, 0) < 1', 86_400, 2],
  ])('the alarm %s goes off when %s', (name, condition, period, periods) => {
    const { Metrics, EvaluationPeriods } = alarm(name)!;
    const [expression, ...parts] = Metrics as { Expression?: string; MetricStat?: { Period: number } }[];
    expect(expression!.Expression).toBe(`IF(${condition}, 1, 0)`);
    for (const { MetricStat } of parts) expect(MetricStat!.Period).toBe(period);
    expect(EvaluationPeriods).toBe(periods);
    expect(period * periods).toBeLessThanOrEqual(7 * 86_400);
  });
});

test('a deployment without an alarm address warns about that', () => {
  expect(warningsOf({})).toEqual([expect.stringContaining('nobody is told when an alarm goes off')]);
  expect(warningsOf({ alarmEmail: 'operator@example.org' })).toEqual([]);
  expect(warningsOf({ alarms: false })).toEqual([]);
});
