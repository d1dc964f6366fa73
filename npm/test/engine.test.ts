// The engine without a core: what it remembers of feeds.

import { expect, test } from 'vitest';
import { Engine, type EngineListener } from '../src/engine.js';
import { scalp } from './fake-gateway.js';

test('of a feed that nobody wants any more only the latest signal is kept', () => {
  const webSocket = () => {
    throw new Error('no connection is wanted');
  };
  const options = { url: 'ws://127.0.0.1/ws', getToken: () => 'token', webSocket, lingerMs: 3_000, kept: 10 };
  const engine = new Engine(options, {} as EngineListener);
  const feed = engine.subscribe('scalp', 'BTCUSDT');
  engine.subscribe('scalp', 'BTCUSDT');
  for (const seq of [1, 2, 3]) feed.push(scalp(seq, seq - 1), seq);
  engine.release(feed);
  expect(feed.recent).toHaveLength(3);
  engine.release(feed);
  expect(feed.recent).toEqual([scalp(3, 2)]);
});
