import { expect, test, vi } from 'vitest';
import { Feed } from '../src/feed.js';
import { IDLE_CONNECTION, IDLE_FEED, Store } from '../src/store.js';
import { View } from '../src/view.js';
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
  const feed = new Feed('scalp', 'BTCUSDT', 100);
  feed.view = new View(store.cell('scalp', 'BTCUSDT'), feed);
  const receive = (seq: number) => feed.push(scalp(seq, 0), seq);
  const fill = (seq: number) => feed.fill(scalp(seq, 0));
  return { store, frames, draw, feed, receive, fill };
}

test('a feed that nobody follows is idle, and always the same object', () => {
  const { store } = storeWithFrames();
  expect(store.feed('scalp', 'BTCUSDT')).toBe(IDLE_FEED);
  expect(store.connection).toBe(IDLE_CONNECTION);
});

test('a thousand changes between two frames are one snapshot and one call', () => {
  const { store, frames, draw, receive } = storeWithFrames();
  let calls = 0;
  store.watchFeed('scalp', 'BTCUSDT', () => {
    calls += 1;
  });
  for (let seq = 1; seq <= 1_000; seq += 1) receive(seq);
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
  const { store, draw, receive } = storeWithFrames();
  receive(1);
  draw();
  const { history } = store.feed('scalp', 'BTCUSDT');
  store.cell('scalp', 'BTCUSDT').set({ status: 'stale' });
  draw();
  expect(store.feed('scalp', 'BTCUSDT').history).toBe(history);
});

test('a signal that was missed is put where it belongs, and once', () => {
  const { store, draw, feed, receive, fill } = storeWithFrames();
  const shown = () => {
    draw();
    return store.feed('scalp', 'BTCUSDT').history.map(({ seq }) => seq);
  };
  for (const seq of [10, 30]) receive(seq);
  expect(shown()).toEqual([10, 30]);
  for (const seq of [20, 20, 5]) fill(seq);
  expect(shown()).toEqual([5, 10, 20, 30]);
  // For other tabs: in the order of the feed as well, and nothing from before it was begun with.
  expect(feed.recent.map(({ seq }) => seq)).toEqual([10, 20, 30]);
});

test('a feed that begins anew keeps what was shown of it', () => {
  const { store, draw, feed, receive } = storeWithFrames(3);
  const shown = () => {
    draw();
    const { history, signal } = store.feed('scalp', 'BTCUSDT');
    return [...history.map(({ seq }) => seq), signal?.seq];
  };
  for (const seq of [10, 20]) receive(seq);
  feed.restart();
  expect([feed.last, feed.recent.length, feed.latest?.seq]).toEqual([0, 0, 20]);
  expect(shown()).toEqual([10, 20, 20]);
  // The gateway sends the latest, which is here already.
  for (const seq of [20, 30, 40]) receive(seq);
  expect(shown()).toEqual([20, 30, 40, 40]);
  // Its history began anew.
  receive(5);
  expect(feed.recent.map(({ seq }) => seq)).toEqual([5]);
  expect(shown(), 'which is another one').toEqual([5, 5]);
});

test('what is remembered is bounded, and never less than was asked for', () => {
  const feed = new Feed('scalp', 'BTCUSDT', 10);
  for (let seq = 1; seq <= 2_000; seq += 1) {
    feed.push(scalp(seq, seq - 1), seq);
    expect(feed.recent.length).toBeLessThanOrEqual(10 + 2 * 64);
    expect(feed.history(10)).toHaveLength(Math.min(seq, 10));
    if (seq % 97 === 0) feed.restart();
    if (seq % 111 === 0) feed.rest();
    if (seq % 13 === 0) feed.fill({ ...scalp(seq, 0), seq: seq - 0.5 });
  }
});

test('a history of nothing is possible', () => {
  const { store, draw, receive } = storeWithFrames(0);
  receive(1);
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
