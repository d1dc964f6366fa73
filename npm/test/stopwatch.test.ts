// When the clock is read, on a clock that is set by hand.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Stopwatch } from '../src/stopwatch.js';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

/** So many signals, each after so many milliseconds: their times, from 0. */
function times(clock: Stopwatch, count: number, everyMs: number): number[] {
  const start = clock.now();
  return Array.from({ length: count }, () => {
    vi.setSystemTime(Date.now() + everyMs);
    return clock.signal() - start;
  });
}

test('signals that come one by one have times of their own', () => {
  const clock = new Stopwatch();
  expect(times(clock, 40, 1)).toEqual(Array.from({ length: 40 }, (_, index) => index + 1));
});

test('in a flood the clock is read for every sixteenth, until what waited has been read', () => {
  const clock = new Stopwatch();
  const reads = vi.spyOn(Date, 'now');
  for (let count = 0; count < 1_000; count += 1) clock.signal();
  expect(reads.mock.calls.length).toBeLessThan(100);
  vi.advanceTimersByTime(1);
  const before = clock.date;
  vi.setSystemTime(before + 500);
  clock.signal();
  expect(clock.date).toBe(before + 500);
});

test('in a hidden page, whose timers come late, every signal has a time of its own', () => {
  const clock = new Stopwatch();
  clock.exact = true;
  const reads = vi.spyOn(Date, 'now');
  for (let count = 0; count < 100; count += 1) clock.signal();
  expect(reads).toHaveBeenCalledTimes(100);
});

test('what else happens is timed by itself, and ends the sharing', () => {
  const clock = new Stopwatch();
  for (let count = 0; count < 20; count += 1) clock.signal();
  const now = clock.date + 300;
  vi.setSystemTime(now);
  clock.now();
  expect(clock.date).toBe(now);
  vi.setSystemTime(now + 200);
  clock.signal();
  expect(clock.date).toBe(now + 200);
});
