/** A recurring schedule of EventBridge Scheduler, in UTC. */
export type RecurringSchedule =
  | { readonly kind: 'rate'; readonly minutes: number }
  | { readonly kind: 'cron'; readonly fields: CronFields };

export interface CronFields {
  readonly minute: CronField;
  readonly hour: CronField;
  readonly dayOfMonth: CronField;
  readonly month: CronField;
  /** 1 is Sunday. */
  readonly dayOfWeek: CronField;
  readonly year: CronField;
}

export interface CronField {
  readonly text: string;
  /**
   * The matching numbers; undefined for `?` and for days that depend on the month: `L`, `LW`,
   * `15W`, `6L`, `6#3`.
   */
  readonly values: ReadonlySet<number> | undefined;
}

interface FieldRule {
  readonly min: number;
  readonly max: number;
  /** Names of the values from `min` on. */
  readonly words?: readonly string[];
  /** Texts for the whole field that have no fixed values. */
  readonly special?: RegExp;
}

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const UNIT_MINUTES = { minute: 1, hour: 60, day: 24 * 60 } as const;

const RULES: Readonly<Record<keyof CronFields, FieldRule>> = {
  minute: { min: 0, max: 59 },
  hour: { min: 0, max: 23 },
  // L is the last day, 15W the weekday nearest to the 15th.
  dayOfMonth: { min: 1, max: 31, special: /^(\?|LW?|([1-9]|[12]\d|3[01])W)$/ },
  month: { min: 1, max: 12, words: MONTHS },
  // 6L is the last Friday, 6#3 the third one.
  dayOfWeek: {
    min: 1,
    max: 7,
    words: WEEKDAYS,
    special: /^(\?|L|([1-7]|SUN|MON|TUE|WED|THU|FRI|SAT)(L|#[1-5]))$/,
  },
  year: { min: 1970, max: 2199 },
};

/** Whether EventBridge Scheduler accepts the expression as a recurring schedule. */
export function isRecurringSchedule(expression: string): boolean {
  return parseRecurringSchedule(expression) !== undefined;
}

/**
 * Reads `rate(<n> minutes|hours|days)`, or a `cron(...)` of six fields with `?` as exactly one of
 * day of month and day of week
 * (https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html).
 * @returns undefined when the expression is neither
 */
export function parseRecurringSchedule(expression: string): RecurringSchedule | undefined {
  const [, count, unit] = /^rate\(([1-9]\d{0,5}) (minute|hour|day)s?\)$/.exec(expression) ?? [];
  if (count !== undefined) {
    return { kind: 'rate', minutes: Number(count) * UNIT_MINUTES[unit as keyof typeof UNIT_MINUTES] };
  }
  const texts = /^cron\(([^()]*)\)$/.exec(expression)?.[1]?.split(' ');
  if (texts?.length !== 6) return undefined;
  const [minute, hour, dayOfMonth, month, dayOfWeek, year] = texts.map((text, i) =>
    fieldOf(Object.values(RULES)[i]!, text),
  );
  if (!minute || !hour || !dayOfMonth || !month || !dayOfWeek || !year) return undefined;
  if ((dayOfMonth.text === '?') === (dayOfWeek.text === '?')) return undefined;
  return { kind: 'cron', fields: { minute, hour, dayOfMonth, month, dayOfWeek, year } };
}

function fieldOf(rule: FieldRule, text: string): CronField | undefined {
  if (rule.special?.test(text)) return { text, values: undefined };
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const range = rangeOf(rule, part);
    if (range === undefined) return undefined;
    for (let value = range.from; value <= range.to; value += range.step) values.add(value);
  }
  return { text, values };
}

/**
 * Reads `*`, a value or an ascending range, each with an optional step. A value with a step runs to
 * the maximum.
 */
function rangeOf(rule: FieldRule, part: string): { from: number; to: number; step: number } | undefined {
  const [, span = '', stepText] = /^(\*|[A-Z0-9]+(?:-[A-Z0-9]+)?)(?:\/(\d+))?$/.exec(part) ?? [];
  const step = Number(stepText ?? 1);
  if (!(step >= 1 && step <= rule.max)) return undefined;
  if (span === '*') return { from: rule.min, to: rule.max, step };
  const [from = Number.NaN, end] = span.split('-').map((word) => numberOf(rule, word));
  const to = end ?? (stepText === undefined ? from : rule.max);
  return from >= rule.min && from <= to && to <= rule.max ? { from, to, step } : undefined;
}

function numberOf({ min, words = [] }: FieldRule, word: string): number {
  const index = words.indexOf(word);
  if (index >= 0) return min + index;
  return /^\d+$/.test(word) ? Number(word) : Number.NaN;
}
