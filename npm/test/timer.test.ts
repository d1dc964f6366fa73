// The one timer of the core, through the module: virtual time, and neither socket nor gateway.

import { expect, test } from 'vitest';
import { load } from '../src/module.js';

test('a feed that falls silent again after it was stale is noticed as soon as the first time', async () => {
  const { Engine } = await load();
  let now = 0;
  let dueAt = Number.POSITIVE_INFINITY;
  let request = 0;
  let socket = 0;
  const told: [status: string, at: number][] = [];
  const ignore = () => {};
  const host = {
    openSocket: (id: number) => {
      socket = id;
    },
    fetchToken: (id: number) => {
      request = id;
    },
    setTimer: (inMs: number) => {
      dueAt = inMs < 0 ? Number.POSITIVE_INFINITY : now + inMs;
    },
    onFeed: (_: number, status: string) => void told.push([status, now]),
    closeSocket: ignore,
    send: ignore,
    onStatus: ignore,
    onGap: ignore,
    onWarning: ignore,
  };
  const core = new Engine(host, 1, 2, 0);
  const pass = (ms: number) => {
    const until = now + ms;
    while (dueAt <= until) {
      now = dueAt;
      dueAt = Number.POSITIVE_INFINITY;
      core.input('tick', now);
    }
    now = until;
  };
  const hear = (kind: string, id: number, numbers: number[]) =>
    core.message(socket, kind, id, Float64Array.from(numbers), '', now);

  const feed = core.subscribe('BTCUSDT', 'scalp', now);
  core.input('connect', now);
  core.tokenOk(request, 'token', Number.NaN, now);
  core.opened(socket, now);
  hear('authenticated', 1, [900_000]);
  hear('connected', 1, [900_000, Number.NaN, Number.NaN, 25, 30, 10, 3, 102_400]);
  hear('subscribed', 1, [feed, 1_000, 1]);
  pass(7_000);
  expect(core.signal(socket, feed, 1, 0, now)).toBe(1);
  pass(7_000);
  expect(told.slice(-4)).toEqual([
    ['live', 0],
    ['stale', 6_000],
    ['live', 7_000],
    ['stale', 13_000],
  ]);
  core.free();
});
