import type { ScalpMessage } from 'tidegate/protocol';
import { expect, test } from 'vitest';
import { addToTape, lacksHistory, TAPE_ROWS, type TapeRow } from './tape';

const signal = (seq: number) => ({ seq, prev: seq - 1 }) as ScalpMessage;
const rows = (tape: readonly TapeRow[]) => tape.map((row) => `${row.via} ${row.signal.seq}`);

test('the newest signal is first, however they arrive', () => {
  const tape = addToTape(addToTape([], [signal(2), signal(3)], 'live'), [signal(1)], 'history');
  expect(rows(tape)).toEqual(['live 3', 'live 2', 'history 1']);
});

test('a signal is on the tape once, and live outranks history', () => {
  const history = addToTape([], [signal(1), signal(2)], 'history');
  const live = addToTape(history, [signal(2)], 'live');
  expect(rows(live)).toEqual(['live 2', 'history 1']);
});

test('nothing new leaves the tape as it is', () => {
  const tape = addToTape([], [signal(1), signal(2)], 'live');
  expect(addToTape(tape, [signal(1)], 'live')).toBe(tape);
  expect(addToTape(tape, [signal(2)], 'history')).toBe(tape);
});

test('the tape does not grow beyond its bound', () => {
  const many = Array.from({ length: TAPE_ROWS + 20 }, (_, at) => signal(at + 1));
  const tape = addToTape([], many, 'live');
  expect(tape).toHaveLength(TAPE_ROWS);
  expect(tape[0]?.signal.seq).toBe(TAPE_ROWS + 20);
});

test('history is asked for at the start, and again when signals came between it and the first live one', () => {
  expect(lacksHistory([])).toBe(true);
  const history = addToTape([], [signal(1), signal(2)], 'history');
  expect(lacksHistory(history)).toBe(false);
  expect(lacksHistory(addToTape(history, [signal(3)], 'live'))).toBe(false);
  expect(lacksHistory(addToTape(history, [signal(4)], 'live'))).toBe(true);
});
