import { expect, test } from 'vitest';
import { extent, roundTicks, scale, spread, timeTicks } from './chart-scale';

test('a scale maps ends to ends, and a span of nothing to its start', () => {
  const y = scale([10, 20], [100, 0]);
  expect([10, 15, 20].map(y)).toEqual([100, 50, 0]);
  expect(scale([5, 5], [0, 10])(5)).toBe(0);
});

test('an extent has room around it, also around one value or none', () => {
  expect(extent([1, 3], 0.5)).toEqual([0, 4]);
  expect(extent([], 0.5)).toEqual([0, 1]);
  const [low, high] = extent([100, 100], 1);
  expect(low).toBeLessThan(100);
  expect(high).toBeGreaterThan(100);
});

test('price ticks are round numbers inside the span', () => {
  expect(roundTicks([101, 198], 4)).toEqual([150]);
  expect(roundTicks([0, 100], 5)).toEqual([0, 20, 40, 60, 80, 100]);
});

test('time ticks are full minutes, not more than asked for', () => {
  const hour = timeTicks([60_000, 3_660_000], 6);
  expect(hour).toEqual([600_000, 1_200_000, 1_800_000, 2_400_000, 3_000_000, 3_600_000]);
});

test('labels that would cover each other move apart and stay inside', () => {
  expect(spread([50, 52, 10], 10, [0, 100])).toEqual([50, 60, 10]);
  expect(spread([98, 99], 10, [0, 100])).toEqual([90, 100]);
});
