/** One of the six fields of a cron expression. */
export interface CronField {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Names of the values from `min` on. */
  readonly words?: readonly string[];
  /** What may stand for the whole field besides lists of values, ranges and steps; `#` and `L` follow a value. */
  readonly alone?: RegExp;
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];

/** The fields of EventBridge Scheduler's cron expressions, in their order. */
export const CRON_FIELDS: readonly CronField[] = [
  { name: 'minutes', min: 0, max: 59 },
  { name: 'hours', min: 0, max: 23 },
  // L is the last day, 15W the weekday nearest to the 15th.
  { name: 'day of month', min: 1, max: 31, alone: /^(\?|LW?|([1-9]|[12]\d|3[01])W)$/ },
  { name: 'month', min: 1, max: 12, words: MONTHS },
  // 6L is the last Friday, 6#3 the third one.
  {
    name: 'day of week',
    min: 1,
    max: 7,
    words: WEEKDAYS,
    alone: /^(\?|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5]))$/,
  },
  { name: 'year', min: 1970, max: 2199 },
];

/**
 * Whether EventBridge Scheduler takes the expression as a recurring schedule: `rate(<n> minutes|hours|days)`, or a
 * `cron(...)` of six fields with `?` as exactly one of day of month and day of week
 * (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html).
 */
export function isRecurringSchedule(expression: string): boolean {
  if (/^rate\([1-9]\d{0,5} (minute|hour|day)s?\)$/.test(expression)) return true;
  const texts = /^cron\(([^()]*)\)$/.exec(expression)?.[1]?.split(' ');
  if (texts?.length !== CRON_FIELDS.length) return false;
  if ((texts[2] === '?') === (texts[4] === '?')) return false;
  return CRON_FIELDS.every((field, position) => {
    const text = texts[position] ?? '';
    return field.alone?.test(text) || text.split(',').every((part) => isPart(field, part));
  });
}

/** `*`, a value, or a range in order, each perhaps with a step. */
function isPart(field: CronField, part: string): boolean {
  const [, span = '', , step = '1'] = /^(\*|[A-Z0-9]+(-[A-Z0-9]+)?)(?:\/(\d+))?$/.exec(part) ?? [];
  if (!(Number(step) >= 1 && Number(step) <= field.max)) return false;
  if (span === '*') return true;
  const [from, to = from] = span.split('-').map((word) => cronValue(field, word));
  return from !== undefined && to !== undefined && from >= field.min && from <= to && to <= field.max;
}

/** The number that a value of a field stands for, in range or not; NaN when it is none. */
export function cronValue({ min, words = [] }: CronField, word: string): number {
  const index = words.indexOf(word);
  if (index >= 0) return min + index;
  return /^\d+$/.test(word) ? Number(word) : Number.NaN;
}
