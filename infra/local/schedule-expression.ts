import { CRON_FIELDS, type CronField, cronValue } from '../../shared/config/schedule-expression.ts';
import { InvalidConfigurationError } from '../../shared/errors.ts';

/** When a schedule runs next: epoch milliseconds strictly after `after`, or undefined when it never runs again. */
export type NextRun = (after: number) => number | undefined;

const UNIT_MS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const;

/**
 * Reads an expression of EventBridge Scheduler, in UTC: `rate(5 minutes)`, `at(2030-01-31T12:00:00)`, or `cron(...)`
 * with its six fields minutes, hours, day of month, month, day of week (1 is Sunday) and year. Of cron's wildcards
 * `W` and `#`, and `L` as day of week, are not known here.
 *
 * @param createdAt epoch milliseconds; rates count from here, so that the first run comes one period later
 * @throws InvalidConfigurationError when it is none of these
 */
export function parseSchedule(expression: string, createdAt: number): NextRun {
  const [, kind, argument = ''] = /^(rate|cron|at)\((.*)\)$/.exec(expression) ?? [];
  if (kind === 'rate') return rate(expression, argument, createdAt);
  if (kind === 'at') return at(expression, argument);
  if (kind === 'cron') return cron(expression, argument);
  throw new InvalidConfigurationError(
    `schedule: found ${expression}, expected rate(...), cron(...) or at(...)`,
  );
}

function rate(expression: string, argument: string, createdAt: number): NextRun {
  const [, value = '0', unit = ''] = /^([1-9]\d*) (minute|hour|day)s?$/.exec(argument) ?? [];
  const period = Number(value) * UNIT_MS[unit as keyof typeof UNIT_MS];
  if (!Number.isSafeInteger(period)) {
    throw new InvalidConfigurationError(`schedule: found ${expression}, expected such as rate(5 minutes)`);
  }
  return (after) => createdAt + Math.max(1, Math.floor((after - createdAt) / period) + 1) * period;
}

function at(expression: string, argument: string): NextRun {
  const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/.test(argument) ? Date.parse(`${argument}Z`) : Number.NaN;
  if (Number.isNaN(time)) {
    throw new InvalidConfigurationError(
      `schedule: found ${expression}, expected such as at(2030-01-31T12:00:00)`,
    );
  }
  return (after) => (time > after ? time : undefined);
}

const LAST_YEAR = 2199;

function cron(expression: string, argument: string): NextRun {
  const texts = argument.trim().split(/\s+/);
  const dayTexts = [texts[2], texts[4]];
  if (texts.length !== CRON_FIELDS.length || dayTexts.filter((text) => text === '?').length !== 1) {
    throw new InvalidConfigurationError(
      `schedule: found ${expression}, expected six fields, with ? as either day of month or day of week`,
    );
  }
  const lastDayOfMonth = texts[2] === 'L';
  const sets = CRON_FIELDS.map((field, i) => {
    const text = texts[i] ?? '';
    const isDay = i === 2 || i === 4;
    if (isDay && (text === '?' || (i === 2 && lastDayOfMonth))) return undefined;
    return valuesOf(expression, field, text);
  });
  const [minutes, hours, daysOfMonth, months, daysOfWeek, years] = sets;

  const dayMatches = (date: Date): boolean => {
    const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()];
    if (!years?.has(year) || !months?.has(month + 1)) return false;
    if (daysOfWeek !== undefined) return daysOfWeek.has(date.getUTCDay() + 1);
    if (daysOfMonth !== undefined) return daysOfMonth.has(day);
    return new Date(Date.UTC(year, month + 1, 0)).getUTCDate() === day;
  };
  const times = [...(hours ?? [])]
    .flatMap((hour) => [...(minutes ?? [])].map((minute) => hour * UNIT_MS.hour + minute * UNIT_MS.minute))
    .sort((a, b) => a - b);

  return (after) => {
    let day = Math.floor(after / UNIT_MS.day) * UNIT_MS.day;
    for (; new Date(day).getUTCFullYear() <= LAST_YEAR; day += UNIT_MS.day) {
      if (!dayMatches(new Date(day))) continue;
      const time = times.find((candidate) => day + candidate > after);
      if (time !== undefined) return day + time;
    }
    return undefined;
  };
}

/** The values that a field of lists, ranges, steps and names stands for. */
function valuesOf(expression: string, field: CronField, text: string): ReadonlySet<number> {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const [, span = '', step = '1'] =
      /^(\*|[A-Z0-9]+(?:-[A-Z0-9]+)?)(?:\/([1-9]\d*))?$/.exec(part.toUpperCase()) ?? [];
    const [from, to = part.includes('/') ? field.max : from] =
      span === '*' ? [field.min, field.max] : span.split('-').map((word) => cronValue(field, word));
    if (from === undefined || to === undefined || !(from >= field.min && to <= field.max && from <= to)) {
      throw new InvalidConfigurationError(
        `schedule: found ${part} as ${field.name} in ${expression}, expected ${field.min}..${field.max}, ` +
          'a list, range or step of these, or *',
      );
    }
    for (let value = from; value <= to; value += Number(step)) values.add(value);
  }
  return values;
}
