import { Duration } from 'aws-cdk-lib';
import { parseRecurringSchedule } from '../shared/config/schedule-expression.ts';

/**
 * The longest time between two runs of a schedule expression: the interval of a rate, and one day
 * for a cron expression that runs every day. Undefined for a cron expression that skips days.
 */
export function longestGap(expression: string): Duration | undefined {
  const schedule = parseRecurringSchedule(expression);
  if (schedule?.kind !== 'cron') return schedule && Duration.minutes(schedule.minutes);
  const { dayOfMonth, month, dayOfWeek, year } = schedule.fields;
  const isDaily = [dayOfMonth, month, dayOfWeek, year].every(({ text }) => text === '*' || text === '?');
  return isDaily ? Duration.days(1) : undefined;
}
