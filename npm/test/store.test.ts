import { expect, test, vi } from 'vitest';
import { IDLE_CONNECTION, IDLE_FEED, Store } from '../src/store.js';
import { scalp } from './fake-gateway.js';

/** A store whose frames are drawn by hand. */
function storeWithFrames(historySize = 100) {
  const frames: (() => void)[] = [];
  const store = new Store(historySize, { nextAt: () => null, latencyMs: () => null }, (callback) =>
    frames.push(callback),
  );
  const draw = () => {
    for (const frame of frames.splice(0)) frame();
  };
  return { store, frames, draw };
}

test('a feed that nobody follows is idle, and always the same object', () => {
  const { store } = storeWithFrames();
  expect(store.feed('scalp', 'BTCUSDT')).toBe(IDLE_FEED);
  expect(store.connection).toBe(IDLE_CONNECTION);
});

test('a thousand changes between two frames are one snapshot and one call', () => {
  const { store, frames, draw } = storeWithFrames();
  let calls = 0;
  store.watchFeed('scalp', 'BTCUSDT', () => {
    calls += 1;
  });
  for (let seq = 1; seq <= 1_000; seq += 1) {
    const signal = scalp(seq, seq - 1);
    store.cell('scalp', 'BTCUSDT').receive(signal, seq);
  }
  expect(calls).toBe(0);
  expect(frames).toHaveLength(1);
  draw();
  expect(calls).toBe(1);
  expect(store.feed('scalp', 'BTCUSDT').signal?.seq).toBe(1_000);
  expect(store.feed('scalp', 'BTCUSDT').history).toHaveLength(100);
});

test('a snapshot that was handed out never changes', () => {
  const { store, draw } = storeWithFrames();
  store.cell('scalp', 'BTCUSDT').set({ status: 'live' });
  draw();
  const before = store.feed('scalp', 'BTCUSDT');
  store.cell('scalp', 'BTCUSDT').set({ status: 'stale' });
  draw();
  expect(before.status).toBe('live');
  expect(Object.isFrozen(before)).toBe(true);
  expect(store.feed('scalp', 'BTCUSDT')).not.toBe(before);
});

test('the history keeps its identity while no signal is added', () => {
  const { store, draw } = storeWithFrames();
  store.cell('scalp', 'BTCUSDT').remember(scalp(1, 0));
  draw();
  const { history } = store.feed('scalp', 'BTCUSDT');
  store.cell('scalp', 'BTCUSDT').set({ status: 'stale' });
  draw();
  expect(store.feed('scalp', 'BTCUSDT').history).toBe(history);
});

test('a signal that was missed is put where it belongs, and once', () => {
  const { store, draw } = storeWithFrames();
  for (const seq of [10, 30, 20, 20]) store.cell('scalp', 'BTCUSDT').remember(scalp(seq, 0));
  draw();
  expect(store.feed('scalp', 'BTCUSDT').history.map(({ seq }) => seq)).toEqual([10, 20, 30]);
});

test('a history of nothing is possible', () => {
  const { store, draw } = storeWithFrames(0);
  store.cell('scalp', 'BTCUSDT').remember(scalp(1, 0));
  draw();
  expect(store.feed('scalp', 'BTCUSDT').history).toEqual([]);
});

test('feeds are told apart, and only those who watch a changed one are called', () => {
  const { store, draw } = storeWithFrames();
  const called: string[] = [];
  store.watchFeed('scalp', 'BTCUSDT', () => called.push('bitcoin'));
  store.watchFeed('scalp', 'ETHUSDT', () => called.push('ether'));
  const stop = store.watchConnection(() => called.push('connection'));
  store.cell('scalp', 'ETHUSDT').set({ status: 'live' });
  store.setConnection({ state: 'live' });
  draw();
  stop();
  store.setConnection({ state: 'waiting' });
  draw();
  expect(called).toEqual(['ether', 'connection']);
});

test('one who throws keeps no other from being called, and is reported', () => {
  const reported: unknown[] = [];
  vi.stubGlobal('reportError', (error: unknown) => reported.push(error));
  const { store, draw } = storeWithFrames();
  const called: string[] = [];
  const bug = new Error('mine');
  store.watchFeed('scalp', 'BTCUSDT', () => {
    throw bug;
  });
  store.watchFeed('scalp', 'BTCUSDT', () => called.push('bitcoin'));
  store.watchConnection(() => called.push('connection'));
  store.cell('scalp', 'BTCUSDT').set({ status: 'live' });
  store.setConnection({ state: 'live' });
  expect(draw).not.toThrow();
  expect(called).toEqual(['bitcoin', 'connection']);
  expect(reported).toEqual([bug]);
  vi.unstubAllGlobals();
});

test('whoever asks between two frames gets the present state, and the same object again', () => {
  const { store } = storeWithFrames();
  store.setConnection({ state: 'live' });
  expect(store.connection.state).toBe('live');
  expect(store.connection).toBe(store.connection);
});
