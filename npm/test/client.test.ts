import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import {
  type Client,
  type ClientOptions,
  connect,
  createClient,
  type Frame,
  TidegateError,
  type WebSocketFactory,
} from '../src/index.js';
import { FakeGateway, scalp, until } from './fake-gateway.js';

const webSocket: WebSocketFactory = (url, protocols) => new WebSocket(url, protocols) as never;

let gateway: FakeGateway;
let client: Client;

beforeEach(async () => {
  gateway = await FakeGateway.start();
});

afterEach(async () => {
  client?.close();
  await gateway.stop();
});

const options = (changed: Partial<ClientOptions> = {}): ClientOptions => {
  let tokens = 0;
  const getToken = () => {
    tokens += 1;
    return `token-${tokens}`;
  };
  return { url: gateway.url, getToken, webSocket, ...changed };
};

const live = async (changed: Partial<ClientOptions> = {}) => {
  client = await connect(options(changed));
  return client;
};

describe('connecting', () => {
  test('sends the token in the first message, and in no address', async () => {
    await live();
    expect(gateway.url).not.toContain('token-1');
    expect(gateway.received[0]).toMatchObject({ type: 'authenticate', token: 'token-1' });
    expect(client.connection).toMatchObject({
      state: 'live',
      error: null,
      limits: { connections: { used: null, max: 3 }, subscriptions: { used: 0, max: 10 }, messages: { max: 30 } },
    });
    expect(client.connection.expiresAt).toBeGreaterThan(Date.now() + 800_000);
  });

  test('feeds that were asked for before cost no message of their own', async () => {
    client = createClient(options());
    client.subscribe('scalp', 'BTCUSDT', () => {});
    client.subscribe('momentum', 'ETHUSDT', () => {});
    await client.whenLive();
    expect(gateway.asked).toEqual(['scalp/BTCUSDT', 'momentum/ETHUSDT']);
    expect(gateway.count('subscribe')).toBe(0);
  });

  test('a getToken that refuses blocks until it is asked again', async () => {
    let signedOut = true;
    const getToken = () => {
      if (signedOut) throw new TidegateError('wallet_rejected');
      return 'token';
    };
    await expect(live({ getToken })).rejects.toMatchObject({ code: 'wallet_rejected' });
    client = createClient(options({ getToken }));
    await until(() => client.connection.state === 'blocked');
    expect(client.connection.error).toMatchObject({ code: 'wallet_rejected', hint: expect.stringMatching(/sign/i) });
    signedOut = false;
    client.retryNow();
    await client.whenLive();
    expect(client.connection.error).toBeNull();
  });

  test.each(['retryNow', 'signedIn'] as const)('%s tells getToken first that a person wants in again', async (ask) => {
    let out = true;
    const getToken = () => {
      if (out) throw new TidegateError('token_denied');
      return 'token';
    };
    getToken.again = () => {
      out = false;
    };
    client = createClient(options({ getToken }));
    await until(() => client.connection.state === 'blocked');
    client[ask]();
    await client.whenLive();
  });

  test('a token that is refused twice blocks, and says so to whoever waits', async () => {
    gateway.refused = new Set(['token-1', 'token-2']);
    await expect(live()).rejects.toMatchObject({ code: 'invalid_token', retry: false });
    expect(gateway.connections).toBe(2);
  });

  test('a gateway that does not answer is given up in time', async () => {
    const stopped = options();
    await gateway.stop();
    await expect(connect({ ...stopped, timeoutMs: 200 })).rejects.toMatchObject({ code: 'connect_timeout' });
    gateway = await FakeGateway.start();
  });

  test('an attempt can be aborted', async () => {
    const abort = new AbortController();
    abort.abort();
    await expect(connect({ ...options(), signal: abort.signal })).rejects.toMatchObject({ code: 'aborted' });
    await until(() => gateway.open === 0);
  });

  test('without a WebSocket the error says what to pass', () => {
    const { webSocket: _, ...without } = options();
    const own = (globalThis as { WebSocket?: unknown }).WebSocket;
    (globalThis as { WebSocket?: unknown }).WebSocket = undefined;
    try {
      expect(() => createClient(without)).toThrow(expect.objectContaining({ code: 'no_websocket' }));
    } finally {
      (globalThis as { WebSocket?: unknown }).WebSocket = own;
    }
  });

  test('a connection that drops comes back and resumes where it was', async () => {
    await live();
    const seen: number[] = [];
    client.subscribe('scalp', 'BTCUSDT', ({ seq }) => seen.push(seq));
    await until(() => gateway.asked.length === 1);
    gateway.signal(1_000, 0);
    await until(() => seen.length === 1);
    client.debug.dropConnection();
    await until(() => gateway.count('authenticate') === 2);
    expect(gateway.received.findLast(({ type }) => type === 'authenticate')).toMatchObject({
      session: 'session-1',
      subscriptions: [{ symbol: 'BTCUSDT', strategy: 'scalp', since: 1_000 }],
    });
  });
});

describe('signals', () => {
  test('come to every subscriber of a feed that was subscribed once', async () => {
    await live();
    const seen: string[] = [];
    for (const name of ['a', 'b', 'c']) client.subscribe('scalp', 'BTCUSDT', ({ seq }) => seen.push(`${name}${seq}`));
    await until(() => gateway.count('subscribe') === 1);
    gateway.signal(1, 0);
    await until(() => seen.length === 3);
    expect(seen).toEqual(['a1', 'b1', 'c1']);
    expect(gateway.asked).toEqual(['scalp/BTCUSDT']);
  });

  test('are delivered once, in order, and a gap is told', async () => {
    await live();
    const seen: number[] = [];
    const gaps: unknown[] = [];
    client.on('gap', (gap) => gaps.push(gap));
    client.subscribe('scalp', 'BTCUSDT', ({ seq }) => seen.push(seq));
    await until(() => gateway.asked.length === 1);
    gateway.signal(10, 0);
    gateway.signal(10, 0);
    gateway.signal(20, 10);
    gateway.signal(40, 30);
    await until(() => seen.length === 3);
    expect(seen).toEqual([10, 20, 40]);
    expect(gaps).toEqual([{ strategy: 'scalp', symbol: 'BTCUSDT', after: 20, before: 40 }]);
    // What was missing arrives: it belongs into the history.
    gateway.signal(30, 20);
    await until(() => client.feed('scalp', 'BTCUSDT').history.length === 4);
    expect(client.feed('scalp', 'BTCUSDT').history.map(({ seq }) => seq)).toEqual([10, 20, 30, 40]);
    expect(seen).toEqual([10, 20, 40]);
  });

  test('may come several to a frame, separated by newlines', async () => {
    await live();
    const seen: number[] = [];
    client.subscribe('scalp', 'BTCUSDT', ({ seq }) => seen.push(seq));
    await until(() => gateway.asked.length === 1);
    gateway.send(`${JSON.stringify(scalp(1, 0))}\n${JSON.stringify(scalp(2, 1))}\n\n${JSON.stringify(scalp(3, 2))}\n`);
    gateway.send(JSON.stringify(scalp(4, 3), null, 2));
    await until(() => seen.length === 4);
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  test('are looped over until the loop is left, which releases the feed', async () => {
    await live({ lingerMs: 0 });
    const loop = (async () => {
      const seen: number[] = [];
      for await (const { seq } of client.signals('scalp', 'BTCUSDT')) {
        seen.push(seq);
        if (seen.length === 2) break;
      }
      return seen;
    })();
    await until(() => gateway.asked.length === 1);
    gateway.signal(1, 0);
    gateway.signal(2, 1);
    expect(await loop).toEqual([1, 2]);
    await until(() => gateway.count('unsubscribe') === 1);
  });

  test('end when the client is closed', async () => {
    await live();
    const signals = client.signals('scalp', 'BTCUSDT');
    const next = signals.next();
    client.close();
    expect(await next).toEqual({ value: undefined, done: true });
    expect(await signals.next()).toEqual({ value: undefined, done: true });
  });

  test('of a feed that is refused throw what the gateway said, once', async () => {
    await live();
    const signals = client.signals('scalp', 'NOSUCH');
    await expect(signals.next()).rejects.toMatchObject({ code: 'unknown_symbol', retry: false });
    expect(await signals.next()).toMatchObject({ done: true });
  });

  test('of what is no feed at all throw without asking the gateway, and harm no other', async () => {
    client = createClient(options());
    const errors: string[] = [];
    client.on('error', ({ code }) => errors.push(code));
    for (const [strategy, symbol] of [
      ['scalp', 'btc'],
      ['astrology', 'BTCUSDT'],
    ] as const) {
      await expect(client.signals(strategy as 'scalp', symbol).next()).rejects.toMatchObject({ code: 'invalid_feed' });
    }
    await client.whenLive();
    await expect(client.signals('scalp', 'btc').next()).rejects.toMatchObject({ code: 'invalid_feed' });
    expect(errors.every((code) => code === 'invalid_feed')).toBe(true);
    expect(gateway.asked).toEqual([]);
  });

  test('may be released and the client closed inside of a handler', async () => {
    await live();
    let seen = 0;
    const stop = client.subscribe('scalp', 'BTCUSDT', () => {
      seen += 1;
      stop();
      client.subscribe('scalp', 'ETHUSDT', () => {});
      client.close();
    });
    await until(() => gateway.asked.length === 1);
    gateway.signal(1, 0);
    await until(() => gateway.open === 0);
    expect(seen).toBe(1);
  });

  test('reach the others although one handler throws', async () => {
    const errors: unknown[] = [];
    const own = console.error;
    console.error = (error: unknown) => errors.push(error);
    await live();
    let seen = 0;
    client.subscribe('scalp', 'BTCUSDT', () => {
      throw new Error('mine');
    });
    client.subscribe('scalp', 'BTCUSDT', () => {
      seen += 1;
    });
    await until(() => gateway.asked.length === 1);
    gateway.signal(1, 0);
    await until(() => seen === 1 && errors.length === 1);
    console.error = own;
  });
});

describe('a feed', () => {
  test('is connecting, then live with the latest signal and when the next is due', async () => {
    await live();
    client.watch('scalp', 'BTCUSDT', () => {});
    expect(client.feed('scalp', 'BTCUSDT').status).toBe('connecting');
    await until(() => client.feed('scalp', 'BTCUSDT').status === 'live', 'live');
    const seq = Date.now();
    gateway.signal(seq, 0);
    await until(() => client.feed('scalp', 'BTCUSDT').signal !== null);
    const feed = client.feed('scalp', 'BTCUSDT');
    expect(feed).toMatchObject({ status: 'live', error: null, data: { side: 'NEUTRAL' } });
    expect(feed.receivedAt).toBeGreaterThanOrEqual(seq);
    expect(feed.latencyMs, 'it was asked for').toBeNull();
    expect(Number(feed.nextAt) - Number(feed.receivedAt)).toBeGreaterThan(29_000);
    const next = Date.now() + 1;
    gateway.signal(next, seq);
    await until(() => client.feed('scalp', 'BTCUSDT').signal?.seq === next);
    const { latencyMs, receivedAt } = client.feed('scalp', 'BTCUSDT');
    expect(latencyMs).toBeGreaterThanOrEqual(0);
    expect(latencyMs).toBeLessThanOrEqual(Math.max(0, Number(receivedAt) - next));
  });

  test('that the gateway does not know is an error, and the others go on', async () => {
    await live();
    client.watch('scalp', 'NOSUCH', () => {});
    client.watch('scalp', 'BTCUSDT', () => {});
    await until(() => client.feed('scalp', 'BTCUSDT').status === 'live');
    expect(client.feed('scalp', 'NOSUCH')).toMatchObject({ status: 'error', error: { code: 'unknown_symbol' } });
    expect(client.connection.state).toBe('live');
  });

  test('of a blocked connection says why', async () => {
    gateway.refused = new Set(['token-1', 'token-2']);
    client = createClient(options());
    client.watch('scalp', 'BTCUSDT', () => {});
    await until(() => client.feed('scalp', 'BTCUSDT').status === 'error');
    expect(client.feed('scalp', 'BTCUSDT').error).toMatchObject({ code: 'invalid_token' });
  });

  test('that is watched and left in the same moment costs no message', async () => {
    await live();
    for (let round = 0; round < 5; round += 1) client.watch('scalp', 'BTCUSDT', () => {})();
    client.watch('scalp', 'BTCUSDT', () => {});
    await until(() => gateway.asked.length === 1);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect([gateway.count('subscribe'), gateway.count('unsubscribe')]).toEqual([1, 0]);
  });
});

describe('for developers', () => {
  test('frames are shown both ways, without the token and the session', async () => {
    client = createClient(options());
    const frames: Frame[] = [];
    client.on('frame', (frame) => frames.push(frame));
    await client.whenLive();
    client.debug.dropConnection();
    await until(() => gateway.count('authenticate') === 2);
    const out = frames.filter(({ direction }) => direction === 'out').map(({ text }) => text);
    expect(out).toHaveLength(2);
    expect(out.join()).toContain('"token":"…"');
    expect(out.join()).toContain('"session":"…"');
    expect(out.join()).not.toMatch(/token-|session-/);
    expect(frames.some(({ direction, text }) => direction === 'in' && text.includes('connected'))).toBe(true);
  });

  test('no frame is shown that was not sent', async () => {
    client = createClient(options());
    const frames: string[] = [];
    client.on('frame', ({ text }) => frames.push(text));
    client.debug.send('too early');
    await client.whenLive();
    client.debug.send('{"type":"ping","id":99}');
    await until(() => gateway.count('ping') === 1);
    expect(frames).not.toContain('too early');
    expect(frames).toContain('{"type":"ping","id":99}');
  });

  test('close codes are told, and the report holds no token', async () => {
    await live();
    const closes: number[] = [];
    client.on('close', ({ code }) => closes.push(code));
    gateway.drop(1013, 'Too slow');
    await until(() => closes.length === 1);
    expect(closes).toEqual([1013]);
    expect(client.debugReport()).toContain('< open');
    expect(client.debugReport()).not.toContain('token-1');
  });

  test('an error is an object with a code and a hint, also as JSON', () => {
    const error = new TidegateError('rate_limited', { retryAfterMs: 5 });
    expect(error).toMatchObject({ name: 'TidegateError', code: 'rate_limited', retry: true, retryAfterMs: 5 });
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      code: 'rate_limited',
      message: 'Too many messages',
      hint: 'The client tries again by itself.',
      retry: true,
    });
  });
});

test('a closed client stays closed, and closing twice is allowed', async () => {
  await live();
  client.close();
  client[Symbol.dispose]();
  client.retryNow();
  expect(() => client.subscribe('scalp', 'BTCUSDT', () => {})).toThrow(expect.objectContaining({ code: 'closed' }));
  await expect(client.whenLive()).rejects.toMatchObject({ code: 'closed' });
  await until(() => gateway.open === 0);
});

test('a closed client can be watched, at no cost', async () => {
  await live();
  client.close();
  const interval = vi.spyOn(globalThis, 'setInterval');
  const stops = [client.watch('scalp', 'BTCUSDT', () => {}), client.watchConnection(() => {})];
  expect([client.feed('scalp', 'BTCUSDT').status, client.connection.state]).toEqual(['idle', 'idle']);
  for (const stop of stops) stop();
  expect(interval).not.toHaveBeenCalled();
  interval.mockRestore();
});

test('the feeds of a closed client are idle, and their watchers told', async () => {
  await live();
  let called = 0;
  client.watch('scalp', 'BTCUSDT', () => {
    called += 1;
  });
  await until(() => client.feed('scalp', 'BTCUSDT').status === 'live');
  gateway.signal(1, 0);
  await until(() => client.feed('scalp', 'BTCUSDT').signal !== null && called > 0);
  const before = called;
  client.close();
  expect(client.feed('scalp', 'BTCUSDT')).toMatchObject({ status: 'idle', nextAt: null, signal: { seq: 1 } });
  await until(() => called > before);
});

test('two clients share the module and nothing else', async () => {
  const [one, two] = await Promise.all([connect(options()), connect(options())]);
  one.close();
  const seen: number[] = [];
  two.subscribe('scalp', 'BTCUSDT', ({ seq }) => seen.push(seq));
  await until(() => gateway.asked.length === 1);
  gateway.signal(1, 0);
  await until(() => seen.length === 1);
  two.close();
  await until(() => gateway.open === 0);
});
