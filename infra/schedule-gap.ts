import { Duration } from 'aws-cdk-lib';

const MINUTES = { minute: 1, hour: 60, day: 24 * 60 } as const;

/**
 * The longest time between two runs of a valid schedule expression: a rate's interval, one day for a cron expression
 * that runs every day, and undefined for a cron expression that leaves out days.
 */
export function longestGap(expression: string): Duration | undefined {
  const rate = /^rate\((\d+) (minute|hour|day)s?\)$/.exec(expression);
  if (rate) return Duration.minutes(Number(rate[1]) * MINUTES[rate[2] as keyof typeof MINUTES]);
  const [, , ...daysAndYears] = expression.slice('cron('.length, -1).split(' ');
  return daysAndYears.every((field) => field === '*' || field === '?') ? Duration.days(1) : undefined;
}
