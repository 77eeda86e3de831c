import { expect, test } from 'vitest';
import { longestGap } from '../../infra/schedule-gap.ts';

test.each([
  ['rate(5 minutes)', 5],
  ['rate(1 hour)', 60],
  ['rate(3 days)', 3 * 24 * 60],
  ['cron(0 3 * * ? *)', 24 * 60],
  ['cron(0/5 8-17 ? * * *)', 24 * 60],
])('%s has at most %i minutes between runs', (expression, minutes) => {
  expect(longestGap(expression)?.toMinutes()).toBe(minutes);
});

test.each(['cron(0 3 ? * MON *)', 'cron(0 3 1 * ? *)', 'cron(0 3 * 6 ? *)', 'cron(0 3 * * ? 2030)'])(
  '%s skips days, so its longest gap is undefined',
  (expression) => {
    expect(longestGap(expression)).toBeUndefined();
  },
);
