import { setImmediate as tick } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { AsyncEvents } from '../../../../infra/local/lambda/async-events.ts';
import type { LocalFunction } from '../../../../infra/local/lambda/function.ts';
import { ManualClock } from '../manual-clock.ts';

const MINUTE = 60_000;

/** A function that fails its first `failures` invocations. */
function failing(failures: number) {
  const clock = new ManualClock(0);
  const attempts: number[] = [];
  const target = {
    configuration: { arn: 'arn:aws:lambda:us-east-1:000000000000:function:probe' },
    async invoke(_payload: string, requestId: string) {
      attempts.push(clock.now());
      const failed = attempts.length <= failures;
      return { requestId, failed, payload: failed ? '{"errorMessage":"no"}' : 'null' };
    },
  } as unknown as LocalFunction;
  const records: string[] = [];
  const events = new AsyncEvents(clock);
  const configure = (maximumRetryAttempts: number, maximumEventAgeSeconds = 21_600) =>
    events.configure(target, {
      maximumRetryAttempts,
      maximumEventAgeSeconds,
      onFailure: (record) => records.push(record),
    });
  const advance = async (ms: number) => {
    await tick();
    clock.advance(ms);
    await tick();
  };
  return { attempts, records, events, target, configure, advance };
}

it('an asynchronous event that succeeds runs once', async () => {
  const { events, target, attempts, advance } = failing(0);
  events.accept(target, '{}');
  expect(events.busy).toBe(true);
  await advance(10 * MINUTE);
  expect(attempts).toEqual([0]);
  expect(events.busy).toBe(false);
});

it('an asynchronous event that fails runs again after one minute, then after two more minutes', async () => {
  const { events, target, attempts, records, configure, advance } = failing(2);
  configure(2);
  events.accept(target, '{}');
  for (let minute = 0; minute < 5; minute++) {
    await advance(MINUTE);
    expect(events.busy).toBe(minute < 2);
  }
  expect(attempts).toEqual([0, MINUTE, 3 * MINUTE]);
  expect(records).toEqual([]);
});

it('an asynchronous event that fails every attempt sends a record to the failure destination in the format of Lambda', async () => {
  const { events, target, attempts, records, configure, advance } = failing(9);
  configure(1);
  const requestId = events.accept(target, '{"a":1}');
  await advance(MINUTE);
  await advance(10 * MINUTE);
  expect(attempts).toEqual([0, MINUTE]);
  expect(records.map((record) => JSON.parse(record))).toEqual([
    {
      version: '1.0',
      timestamp: '1970-01-01T00:01:00.000Z',
      requestContext: {
        requestId,
        functionArn: 'arn:aws:lambda:us-east-1:000000000000:function:probe:$LATEST',
        condition: 'RetriesExhausted',
        approximateInvokeCount: 2,
      },
      requestPayload: { a: 1 },
      responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: 'Unhandled' },
      responsePayload: { errorMessage: 'no' },
    },
  ]);
  expect(events.busy).toBe(false);
});

it('an asynchronous event has no retry beyond its maximum age', async () => {
  const { events, target, attempts, records, configure, advance } = failing(9);
  configure(2, 90);
  events.accept(target, '{}');
  await advance(MINUTE);
  await advance(10 * MINUTE);
  expect(attempts).toEqual([0, MINUTE]);
  expect(JSON.parse(records[0] ?? '').requestContext.condition).toBe('EventAgeExceeded');
});

it('closing cancels the pending retries of asynchronous events', async () => {
  const { events, target, attempts, advance } = failing(9);
  events.accept(target, '{}');
  await advance(0);
  events.close();
  await advance(10 * MINUTE);
  expect(attempts).toEqual([0]);
  expect(events.busy).toBe(false);
});
