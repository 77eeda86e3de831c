import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { POLICIES } from '../../cli/policies.ts';
import { type AlarmProperties, stateOf } from '../runbook/alarm-state.ts';
import { articlesOf, commandsOf } from '../runbook/articles.ts';
import { DRILLS } from '../runbook/drills.ts';

const root = join(import.meta.dirname, '..', '..');
const page = readFileSync(join(root, 'docs', 'runbook.md'), 'utf8');

test('every article has a drill', () => {
  expect(DRILLS.map(({ article }) => article).toSorted()).toEqual(articlesOf(page).toSorted());
});

test('every command that an article names exists', () => {
  const named = articlesOf(page).flatMap((article) => commandsOf(page, article));
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter((command) => !(command in POLICIES))).toEqual([]);
});

test('an article can be followed, and the alarm goes off before and ends after', async () => {
  const drill = [join(root, 'test', 'runbook', 'main.ts'), 'ConsolidationMissed'];
  const { stdout } = await promisify(execFile)(process.execPath, drill);
  expect(stdout).toContain('= 0 (Sum of Invocations = no data');
  expect(stdout).toContain('$ attune consolidate');
  expect(stdout).toContain('1 articles followed, 0 with something wrong');
});

describe('what a drill shows of an alarm', () => {
  const metric = (MetricName: string) => ({ Namespace: 'Attune', MetricName });
  const common = {
    Threshold: 1,
    ComparisonOperator: 'GreaterThanOrEqualToThreshold',
    EvaluationPeriods: 1,
    TreatMissingData: 'notBreaching',
  };
  const math: AlarmProperties = {
    ...common,
    Metrics: [
      { Id: 'expr_1', Expression: 'IF(refused >= 3 AND FILL(accepted, 0) < 1, 1, 0)' },
      { Id: 'refused', MetricStat: { Metric: metric('Refused'), Period: 300, Stat: 'Sum' } },
      { Id: 'accepted', MetricStat: { Metric: metric('Accepted'), Period: 300, Stat: 'Sum' } },
    ],
  };
  const state = (alarm: AlarmProperties, data: Readonly<Record<string, readonly number[]>>) =>
    stateOf(alarm, async ({ MetricName }) => data[MetricName] ?? []);

  test('is what its expression says, with and without data', async () => {
    expect(await state(math, { Refused: [2, 1] })).toMatchObject({ datum: 1, breaches: true });
    expect(await state(math, { Refused: [2, 1], Accepted: [1] })).toMatchObject({
      datum: 0,
      breaches: false,
    });
    expect(await state(math, { Accepted: [1] })).toMatchObject({ datum: undefined, breaches: false });
  });

  test('is the statistic of its metric, and missing data as the alarm says', async () => {
    const slow = { ...common, ...metric('Duration'), ExtendedStatistic: 'p99', Period: 300, Threshold: 8 };
    expect(await state(slow, { Duration: [1, 9, 2] })).toMatchObject({ datum: 9, breaches: true });
    expect(await state({ ...slow, TreatMissingData: 'breaching' }, {})).toMatchObject({ breaches: true });
  });
});
