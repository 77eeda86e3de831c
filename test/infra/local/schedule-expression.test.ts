import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseSchedule } from '../../../infra/local/schedule-expression.ts';

const at = (text: string) => Date.parse(text);
const next = (expression: string, after: string, createdAt = after) => {
  const time = parseSchedule(expression, at(createdAt))(at(after));
  return time === undefined ? undefined : new Date(time).toISOString();
};

describe('a schedule expression', () => {
  it.each([
    ['rate(1 minute)', '2026-01-01T00:00:00.500Z', '2026-01-01T00:01:00.500Z'],
    ['rate(5 minutes)', '2026-01-01T00:00:00Z', '2026-01-01T00:05:00.000Z'],
    ['rate(1 hour)', '2026-01-01T00:00:00Z', '2026-01-01T01:00:00.000Z'],
    ['rate(7 days)', '2026-01-01T00:00:00Z', '2026-01-08T00:00:00.000Z'],
    ['cron(0 * * * ? *)', '2026-01-01T00:00:00Z', '2026-01-01T01:00:00.000Z'],
    ['cron(0 * * * ? *)', '2025-12-31T23:59:59.999Z', '2026-01-01T00:00:00.000Z'],
    ['cron(15 10 * * ? *)', '2026-01-01T10:15:00Z', '2026-01-02T10:15:00.000Z'],
    ['cron(0/15 * * * ? *)', '2026-01-01T00:46:00Z', '2026-01-01T01:00:00.000Z'],
    ['cron(*/20 8-10 * * ? *)', '2026-01-01T10:40:00Z', '2026-01-02T08:00:00.000Z'],
    ['cron(5,35 14 * * ? *)', '2026-01-01T14:05:00Z', '2026-01-01T14:35:00.000Z'],
    ['cron(0 18 ? * MON-FRI *)', '2026-01-02T18:00:00Z', '2026-01-05T18:00:00.000Z'],
    ['cron(0 18 ? * 1 *)', '2026-01-02T18:00:00Z', '2026-01-04T18:00:00.000Z'],
    ['cron(0 8 1 * ? *)', '2026-01-01T08:00:00Z', '2026-02-01T08:00:00.000Z'],
    ['cron(0 0 L * ? *)', '2028-02-01T00:00:00Z', '2028-02-29T00:00:00.000Z'],
    ['cron(0 0 29 FEB ? *)', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00.000Z'],
    ['cron(0 12 1 JAN,JUL ? 2027)', '2026-01-01T00:00:00Z', '2027-01-01T12:00:00.000Z'],
  ])('%s runs after %s at %s', (expression, after, expected) => {
    expect(next(expression, after)).toBe(expected);
  });

  it.each([
    ['cron(0 0 1 1 ? 2020)', '2026-01-01T00:00:00Z'],
    ['cron(0 0 31 FEB ? *)', '2026-01-01T00:00:00Z'],
  ])('%s never runs after %s', (expression, after) => {
    expect(next(expression, after)).toBeUndefined();
  });

  it('counts a rate from the creation of the schedule', () => {
    expect(next('rate(1 hour)', '2026-01-01T05:10:00Z', '2026-01-01T00:30:00Z')).toBe(
      '2026-01-01T05:30:00.000Z',
    );
  });

  it.each([
    'every day',
    'rate(0 minutes)',
    'rate(5 weeks)',
    'at(2026-03-01T12:30:00)',
    'cron(0 * * * *)',
    'cron(0 * * * * *)',
    'cron(0 * ? * ? *)',
    'cron(60 * * * ? *)',
    'cron(5-1 * * * ? *)',
    'cron(0 0 15W * ? *)',
    'cron(0 0 ? * 2#1 *)',
    'cron(0 0 ? * 6L *)',
    'cron(0 0 * FOO ? *)',
    'cron(0/0 * * * ? *)',
  ])('%s is refused', (expression) => {
    expect(() => parseSchedule(expression, 0)).toThrow(/^schedule: found .*, expected /);
  });

  it('finds the next run of an hourly cron: after the given time, within an hour, at the right minute', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 59 }), fc.integer({ min: 0, max: 4e12 }), (minute, after) => {
        const time = parseSchedule(`cron(${minute} * * * ? *)`, 0)(after) ?? 0;
        return time > after && time - after <= 3_600_000 && new Date(time).getUTCMinutes() === minute;
      }),
    );
  });
});
