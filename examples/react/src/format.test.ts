import { expect, test } from 'vitest';
import { ago, clock, distance, percent, price, shortAddress, span, splitSymbol, timeOfDay } from './format';

test('a price has the decimals that its size calls for', () => {
  expect([107478.5, 182.345, 0.5123].map(price)).toEqual(['107,478.50', '182.3450', '0.512300']);
});

test('a percentage carries its sign, and zero carries none', () => {
  expect([0.15, -0.1, 0, -0.001].map((value) => percent(value))).toEqual([
    '+0.15\u202f%',
    '−0.10\u202f%',
    '0.00\u202f%',
    '0.00\u202f%',
  ]);
  expect(distance(101, 100)).toBeCloseTo(1);
  expect(distance(1, 0)).toBe(0);
});

test('spans and clocks stay short', () => {
  expect([-5, 800, 12_400, 240_000, 7_200_000].map(span)).toEqual([
    '0\u202fs',
    '1\u202fs',
    '12\u202fs',
    '4\u202fmin',
    '2\u202fh',
  ]);
  expect([-5, 999, 1_000].map(ago)).toEqual(['now', 'now', '1\u202fs ago']);
  expect([-1, 872_000, 3_730_000].map(clock)).toEqual(['0:00', '14:32', '1:02:10']);
});

test('times are UTC, addresses and symbols are cut where a reader expects it', () => {
  expect(timeOfDay(Date.UTC(2025, 10, 3, 13, 30))).toBe('13:30:00');
  expect(timeOfDay(Date.UTC(2025, 10, 3, 13, 30), false)).toBe('13:30');
  expect(shortAddress('0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266')).toBe('0xf39F…2266');
  expect(splitSymbol('BTCUSDT')).toEqual(['BTC', 'USDT']);
  expect(splitSymbol('TIDE')).toEqual(['TIDE', '']);
});
