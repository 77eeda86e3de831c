import { expect, it } from 'vitest';
import { Schedule } from '../../../infra/local/schedule.ts';
import { parseSchedule } from '../../../infra/local/schedule-expression.ts';
import { ManualClock } from './manual-clock.ts';

const HOUR = 3_600_000;

function hourly() {
  const clock = new ManualClock(0);
  const runs: number[] = [];
  const schedule = new Schedule(parseSchedule('rate(1 hour)', 0), (time) => runs.push(time), clock);
  schedule.start();
  return { clock, runs, schedule };
}

it('an hourly schedule runs every hour, first one hour after its start', () => {
  const { clock, runs } = hourly();
  clock.advance(HOUR - 1);
  expect(runs).toEqual([]);
  clock.advance(2 * HOUR + 1);
  expect(runs).toEqual([HOUR, 2 * HOUR, 3 * HOUR]);
});

it('a stopped schedule does not run again', () => {
  const { clock, runs, schedule } = hourly();
  clock.advance(HOUR);
  schedule.stop();
  clock.advance(5 * HOUR);
  expect(runs).toEqual([HOUR]);
});

it('a schedule skips the runs that a sleeping machine missed', () => {
  const { clock, runs } = hourly();
  clock.sleep(5.5 * HOUR);
  clock.advance(HOUR);
  expect(runs).toEqual([HOUR, 6 * HOUR]);
});

it('a schedule ends when its expression has no further run', () => {
  const clock = new ManualClock(0);
  const runs: number[] = [];
  new Schedule(parseSchedule('cron(0 1 1 1 ? 1970)', 0), (time) => runs.push(time), clock).start();
  clock.advance(48 * HOUR);
  expect(runs).toEqual([HOUR]);
});
