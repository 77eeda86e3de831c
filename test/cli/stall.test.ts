import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { watchForStall } from '../../cli/replay/stall.ts';

let progress: number;
let said: string[];
let stop: () => void;
beforeEach(() => {
  vi.useFakeTimers();
  progress = 0;
  said = [];
  stop = watchForStall({ progress: () => progress, inFlight: () => 12 }, (text) => said.push(text));
});
afterEach(() => {
  stop();
  vi.useRealTimers();
});

test('a replay without progress for a minute reports that once, with the messages in flight', () => {
  vi.advanceTimersByTime(59_000);
  expect(said).toEqual([]);
  vi.advanceTimersByTime(2_000);
  expect(said).toEqual(['no progress for 60 s, with 12 messages in flight; still waiting']);
  progress += 1;
  vi.advanceTimersByTime(600_000);
  expect(said).toHaveLength(1);
});

test('a replay with slow progress reports nothing', () => {
  for (let minute = 0; minute < 10; minute++) {
    vi.advanceTimersByTime(50_000);
    progress += 1;
  }
  expect(said).toEqual([]);
});

test('a replay that has ended reports nothing', () => {
  stop();
  vi.advanceTimersByTime(600_000);
  expect(said).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
