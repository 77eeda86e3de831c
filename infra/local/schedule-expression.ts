import { type CronFields, parseRecurringSchedule } from '../../shared/config/schedule-expression.ts';
import { InvalidConfigurationError, shown } from '../../shared/errors.ts';

/**
 * When a schedule runs next: epoch milliseconds strictly after `after`, or undefined when it never
 * runs again.
 */
export type NextRun = (after: number) => number | undefined;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const LAST_YEAR = 2199;

/**
 * Reads a recurring schedule of EventBridge Scheduler, in UTC. The local stack does not know cron's
 * `W` and `#`, nor `L` as day of week.
 *
 * @param createdAt epoch milliseconds; rates count from here, so the first run comes one period
 *   later
 * @throws InvalidConfigurationError for any other expression
 */
export function parseSchedule(expression: string, createdAt: number): NextRun {
  const schedule = parseRecurringSchedule(expression);
  if (schedule === undefined) {
    throw new InvalidConfigurationError(
      `schedule: found ${shown(expression)}, expected rate(<n> minutes|hours|days) or a cron(...) of six fields`,
    );
  }
  if (schedule.kind === 'rate') return rate(schedule.minutes * MINUTE_MS, createdAt);
  const { dayOfMonth, dayOfWeek } = schedule.fields;
  const special = [dayOfMonth, dayOfWeek].find(({ text, values }) => values === undefined && text !== '?');
  if (special !== undefined && dayOfMonth.text !== 'L') {
    throw new InvalidConfigurationError(
      `schedule: found ${special.text} in ${expression}, expected days without W, # or, as day of week, L`,
    );
  }
  return cron(schedule.fields);
}

function rate(period: number, createdAt: number): NextRun {
  return (after) => createdAt + Math.max(1, Math.floor((after - createdAt) / period) + 1) * period;
}

function cron(fields: CronFields): NextRun {
  const times = [...(fields.hour.values ?? [])]
    .flatMap((hour) => [...(fields.minute.values ?? [])].map((m) => hour * HOUR_MS + m * MINUTE_MS))
    .sort((a, b) => a - b);
  return (after) => {
    let day = Math.floor(after / DAY_MS) * DAY_MS;
    for (; new Date(day).getUTCFullYear() <= LAST_YEAR; day += DAY_MS) {
      if (!runsOn(fields, new Date(day))) continue;
      const time = times.find((candidate) => day + candidate > after);
      if (time !== undefined) return day + time;
    }
    return undefined;
  };
}

function runsOn({ year, month, dayOfWeek, dayOfMonth }: CronFields, date: Date): boolean {
  if (!year.values?.has(date.getUTCFullYear()) || !month.values?.has(date.getUTCMonth() + 1)) return false;
  if (dayOfWeek.values !== undefined) return dayOfWeek.values.has(date.getUTCDay() + 1);
  if (dayOfMonth.values !== undefined) return dayOfMonth.values.has(date.getUTCDate());
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0));
  return lastDay.getUTCDate() === date.getUTCDate();
}
