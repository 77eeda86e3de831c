import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isRecurringSchedule, parseRecurringSchedule } from '../../../shared/config/schedule-expression.ts';

/** An expression that differs from `cron(0 3 * * ? *)` in one field, by position. */
function withField(position: number, text: string): string {
  const fields = position === 4 ? ['0', '3', '?', '*', text, '*'] : ['0', '3', '*', '*', '?', '*'];
  fields[position] = text;
  return `cron(${fields.join(' ')})`;
}
const [minutes, hours, dayOfMonth, month, dayOfWeek, year] = [0, 1, 2, 3, 4, 5] as const;

describe('a cron expression', () => {
  test.each([
    [minutes, ['0', '59', '*', '*/5', '0/15', '5,35', '0-10', '0-30/10', '0,10-20,30/5']],
    [hours, ['0', '23', '8-17', '*/2', '0,12']],
    [dayOfMonth, ['1', '31', 'L', 'LW', '15W', '1W', '31W', '1,15', '1-7', '*/2']],
    [month, ['1', '12', 'JAN', 'DEC', 'JAN-MAR', 'JAN,JUL', '1/3', 'MAR-11']],
    [
      dayOfWeek,
      ['1', '7', 'SUN', 'SAT', 'MON-FRI', '2-6', 'MON,WED', 'L', '6L', 'FRIL', '6#3', 'FRI#5', '*'],
    ],
    [year, ['1970', '2199', '2026-2030', '2026/2', '2027,2029']],
  ])('accepts in field %i: %j', (position, texts) => {
    for (const text of texts) expect.soft(isRecurringSchedule(withField(position, text)), text).toBe(true);
  });

  const nowhere = [
    '',
    '-',
    ',',
    '/',
    '#',
    'A',
    '-1',
    '1.5',
    '5-1',
    '1-2-3',
    '1,',
    ',1',
    '1//2',
    '1/0',
    '1/',
    '/2',
    '**',
    '*-5',
    '1-*',
    '1 2',
    'W',
    '1#',
    '#1',
    '0x1',
    '１',
  ];
  test.each([
    [minutes, ['60', '0#3', 'L', '?', 'JAN', '5W', '0/60', '50-60']],
    [hours, ['24', '?', 'L', 'MON', '3#1', '0/24']],
    [dayOfMonth, ['0', '32', 'JAN', 'MON', '1#1', '0W', '32W', 'W15', '5L', 'L,1', '1,15W', '1-5W', '?,1']],
    [month, ['0', '13', 'MON', 'L', '?', 'XYZ', 'JANUARY', 'MAR-JAN', 'jan', '1#2']],
    [
      dayOfWeek,
      ['0', '8', 'JAN', 'XYZ', 'FRI-MON', 'MON#0', 'MON#6', '8#1', '2#1,6#3', '6L,1', 'LW', '3W', 'MONDAY'],
    ],
    [year, ['1969', '2200', '1066', 'L', '?', '2030-2026', '26']],
  ])('refuses in field %i: %j', (position, texts) => {
    for (const text of [...nowhere, ...texts]) {
      expect.soft(isRecurringSchedule(withField(position, text)), text).toBe(false);
    }
  });

  test.each([
    'cron(A B ? C D E)',
    'cron(0 0 JAN * ? *)',
    'cron(0 0 ? * XYZ *)',
    'cron(0 3 * * * *)',
    'cron(0 3 ? * ? *)',
    'cron(0 3 1 * 2 *)',
    'cron(* * * * *)',
    'cron(0 3 * * ? * *)',
    'cron(0  3 * * ? *)',
    'CRON(0 3 * * ? *)',
    'cron(0 3 * * ? *) ',
  ])('is not %s', (expression) => {
    expect(isRecurringSchedule(expression)).toBe(false);
  });

  test('accepts ascending ranges, and no descending ones', () => {
    const fieldBounds = [
      [0, 59],
      [0, 23],
      [1, 31],
      [1, 12],
      [1, 7],
      [1970, 2199],
    ] as const;
    const bounds = fc.constantFrom(...fieldBounds.entries()).chain(([position, [min, max]]) => {
      const value = fc.integer({ min, max });
      return fc.tuple(fc.constant(position), value, value);
    });
    fc.assert(
      fc.property(bounds, ([position, from, to]) => {
        expect(isRecurringSchedule(withField(position, `${from}-${to}`))).toBe(from <= to);
      }),
    );
  });
});

describe('the values of a cron field', () => {
  test.each([
    ['5,35', [5, 35]],
    ['0-30/10', [0, 10, 20, 30]],
    ['50/4', [50, 54, 58]],
    ['*/20', [0, 20, 40]],
  ])('%s matches the minutes %j', (text, expected) => {
    const schedule = parseRecurringSchedule(withField(minutes, text));
    expect(schedule?.kind === 'cron' && [...(schedule.fields.minute.values ?? [])]).toEqual(expected);
  });

  test('words count from the first value of the field', () => {
    const schedule = parseRecurringSchedule(withField(dayOfWeek, 'MON-WED'));
    expect(schedule?.kind === 'cron' && schedule.fields.dayOfWeek.values).toEqual(new Set([2, 3, 4]));
  });
});

test('a rate has its interval in minutes', () => {
  expect(parseRecurringSchedule('rate(3 hours)')).toEqual({ kind: 'rate', minutes: 180 });
});
