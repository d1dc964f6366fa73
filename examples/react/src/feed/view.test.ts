import { expect, test } from 'vitest';
import { type ConnectionView, type FeedView, viewOf } from './view';

const live: ConnectionView = { phase: 'live', attempt: 0, retryAt: null, problem: null };
const fed: FeedView = { status: 'live', hasData: true, problem: null };
const empty: FeedView = { status: 'connecting', hasData: false, problem: null };
const problem = (code: string) => ({ code, message: 'It said no', hint: 'Ask again' });

test('a live feed is a card without a notice', () => {
  expect(viewOf(live, fed)).toEqual({ card: 'signal', notice: null });
});

test('connected without a signal waits, and says nothing more', () => {
  expect(viewOf(live, { ...empty, status: 'live' })).toEqual({ card: 'waiting', notice: null });
});

test('the first attempt is a skeleton, the second one explains itself and counts down', () => {
  const first: ConnectionView = { ...live, phase: 'connecting', attempt: 1 };
  expect(viewOf(first, empty)).toEqual({ card: 'skeleton', notice: null });
  const second = viewOf({ ...first, phase: 'waiting', attempt: 2, retryAt: 5_000 }, empty);
  expect(second.card).toBe('skeleton');
  expect(second.notice).toMatchObject({ title: 'Not connected yet', retryAt: 5_000, actions: ['retry'] });
});

test('a lost connection keeps the last signal, marked as outdated', () => {
  const view = viewOf({ ...live, phase: 'waiting', attempt: 1, retryAt: 5_000 }, fed);
  expect(view.card).toBe('outdated');
  expect(view.notice?.title).toBe('Connection lost, reconnecting');
});

test('an overdue signal is a warning although the connection is up', () => {
  const view = viewOf(live, { ...fed, status: 'stale' });
  expect(view).toMatchObject({
    card: 'outdated',
    notice: { tone: 'warning', title: 'The next signal is overdue' },
  });
});

test('an offline device can retry now', () => {
  expect(viewOf({ ...live, phase: 'offline' }, fed).notice).toMatchObject({ actions: ['retry'] });
});

test('a refused sign-in says what to do and offers a new wallet', () => {
  const view = viewOf({ ...live, phase: 'blocked', problem: problem('invalid_token') }, empty);
  expect(view.card).toBe('empty');
  expect(view.notice).toMatchObject({
    tone: 'error',
    title: 'The gateway refused the sign-in',
    text: 'It said no. Ask again.',
    actions: ['retry', 'new-wallet'],
  });
});

test('a connection that another window took over says so', () => {
  const view = viewOf({ ...live, phase: 'blocked', problem: problem('replaced') }, fed);
  expect(view).toMatchObject({
    card: 'outdated',
    notice: { title: 'Another window took this connection over' },
  });
});

test('too many connections name the limit and when it is tried again', () => {
  const view = viewOf(
    { phase: 'waiting', attempt: 3, retryAt: 9_000, problem: problem('connection_limit') },
    empty,
  );
  expect(view.notice).toMatchObject({ text: 'It said no. Ask again.', retryAt: 9_000 });
});

test('WebAssembly that does not load is told with its fix', () => {
  const view = viewOf({ ...live, phase: 'connecting', problem: problem('wasm_failed') }, empty);
  expect(view.card).toBe('empty');
  expect(view.notice?.text).toBe('It said no. Ask again.');
  expect(view.notice?.actions).toEqual(['reload']);
});
