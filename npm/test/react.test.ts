// @vitest-environment happy-dom

import {
  Activity,
  act,
  createElement,
  Fragment,
  type FunctionComponent,
  StrictMode,
  useEffect,
  useLayoutEffect,
  useState,
} from 'react';
import { createRoot, type Root } from 'react-dom/client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import type { ClientOptions, WebSocketFactory } from '../src/index.js';
import {
  type ConnectionHandle,
  type LostConnection,
  type SignalSnapshot,
  TidegateProvider,
  type TidegateProviderProps,
  useConnection,
  useLostConnection,
  useSignal,
  useSignalHistory,
  useSignals,
  useTidegate,
} from '../src/react/index.js';
import { FakeGateway } from './fake-gateway.js';

const webSocket: WebSocketFactory = (url, protocols) => new WebSocket(url, protocols) as never;

let gateway: FakeGateway;
let root: Root;

beforeEach(async () => {
  (globalThis as { IS_REACT_ACT_ENVIRONMENT?: boolean }).IS_REACT_ACT_ENVIRONMENT = true;
  gateway = await FakeGateway.start();
  root = createRoot(document.body.appendChild(document.createElement('div')));
});

afterEach(async () => {
  await act(() => root.unmount());
  await gateway.stop();
});

/** The newest of what the components have drawn. */
const drawn: { signal?: SignalSnapshot<'scalp'>; connection?: ConnectionHandle; renders: number } = { renders: 0 };

const Card: FunctionComponent<{ symbol?: string | null }> = ({ symbol = 'BTCUSDT' }) => {
  drawn.signal = useSignal('scalp', symbol, { countdown: false });
  drawn.renders += 1;
  return createElement('p', null, `${drawn.signal.status} ${drawn.signal.signal?.seq ?? '–'}`);
};

const Status: FunctionComponent = () => {
  drawn.connection = useConnection();
  return createElement('p', null, drawn.connection.state);
};

function provider(changed: Partial<TidegateProviderProps>, ...children: FunctionComponent[]) {
  const props: TidegateProviderProps = { url: gateway.url, getToken: () => `token-${Math.random()}`, webSocket };
  // One fragment for all of them: as arguments they need no keys.
  const page = createElement(Fragment, null, ...children.map((child, index) => createElement(child, { key: index })));
  return createElement(TidegateProvider, { ...props, ...changed }, page);
}

/** Waits, letting React draw, until something holds. */
async function eventually(holds: () => boolean, what = String(holds)): Promise<void> {
  for (const end = performance.now() + 30_000; performance.now() < end; ) {
    if (holds()) return;
    await act(() => new Promise((resolve) => setTimeout(resolve, 10)));
  }
  throw new Error(`never came true: ${what}`);
}

const settle = () => act(() => new Promise((resolve) => setTimeout(resolve, 150)));

describe('useSignal', () => {
  test('goes from connecting to live, and draws what comes', async () => {
    let grant: (token: string) => void = () => {};
    const getToken = () =>
      new Promise<string>((resolve) => {
        grant = resolve;
      });
    await act(() => root.render(provider({ getToken }, Card, Status)));
    await eventually(() => drawn.connection?.state === 'token');
    expect(drawn.signal).toMatchObject({ status: 'connecting', data: null, history: [] });
    grant('token');
    await eventually(() => drawn.signal?.status === 'live' && drawn.connection?.state === 'live');
    gateway.signal(1, 0);
    await eventually(() => drawn.signal?.signal?.seq === 1);
    expect(document.body.textContent).toContain('live 1');
    expect(drawn.signal).toMatchObject({ data: { side: 'NEUTRAL' }, history: [{ seq: 1 }] });
  });

  test('under Strict Mode opens one socket and subscribes once', async () => {
    await act(() => root.render(createElement(StrictMode, null, provider({}, Card, Status))));
    await eventually(() => drawn.signal?.status === 'live');
    await settle();
    expect(gateway.connections).toBe(1);
    expect(gateway.asked).toEqual(['scalp/BTCUSDT']);
    expect(gateway.count('unsubscribe')).toBe(0);
  });

  test('in four components that follow one feed is one subscription', async () => {
    await act(() => root.render(provider({}, Card, Card, Card, Card)));
    await eventually(() => drawn.signal?.status === 'live');
    await settle();
    expect(gateway.asked).toEqual(['scalp/BTCUSDT']);
  });

  test('moves to another symbol without another socket', async () => {
    let show: (symbol: string | null) => void = () => {};
    const Page: FunctionComponent = () => {
      const [symbol, setSymbol] = useState<string | null>('BTCUSDT');
      show = setSymbol;
      return createElement(Card, { symbol });
    };
    await act(() => root.render(provider({}, Page)));
    await eventually(() => drawn.signal?.status === 'live');
    await act(() => show('ETHUSDT'));
    await eventually(() => gateway.asked.includes('scalp/ETHUSDT'));
    gateway.signal(7, 0, 'ETHUSDT');
    await eventually(() => drawn.signal?.signal?.symbol === 'ETHUSDT');
    await act(() => show(null));
    expect(drawn.signal?.status).toBe('idle');
    expect(gateway.connections).toBe(1);
  });

  test('draws a burst at most once per frame', async () => {
    await act(() => root.render(provider({}, Card)));
    await eventually(() => drawn.signal?.status === 'live');
    let frames = 0;
    const count = () => {
      frames += 1;
      frame = requestAnimationFrame(count);
    };
    let frame = requestAnimationFrame(count);
    const before = drawn.renders;
    for (let seq = 1; seq <= 200; seq += 1) gateway.signal(seq, seq - 1);
    await eventually(() => drawn.signal?.signal?.seq === 200);
    cancelAnimationFrame(frame);
    expect(drawn.renders - before).toBeLessThanOrEqual(frames + 1);
  });

  test('counts down to the next signal', async () => {
    let nextInMs: number | null = null;
    const Countdown: FunctionComponent = () => {
      nextInMs = useSignal('scalp', 'BTCUSDT').nextInMs;
      return null;
    };
    gateway.intervalMs = 300_000;
    await act(() => root.render(provider({}, Countdown, Card)));
    await eventually(() => drawn.signal?.status === 'live');
    gateway.signal(1, 0);
    await eventually(() => nextInMs !== null);
    const first = Number(nextInMs);
    expect(first).toBeGreaterThan(200_000);
    await eventually(() => Number(nextInMs) < first - 900);
  });

  test('of a symbol that is none is an error on the page, not a crash', async () => {
    const Bad: FunctionComponent = () => {
      drawn.signal = useSignal('scalp', 'not a symbol');
      return null;
    };
    await act(() => root.render(provider({}, Bad, Status)));
    await eventually(() => drawn.signal?.status === 'error');
    expect(drawn.signal?.error).toMatchObject({ code: 'invalid_feed' });
    await eventually(() => drawn.connection?.state === 'live');
  });

  test('gives the history by itself as well', async () => {
    let history: readonly { seq: number }[] = [];
    const Tape: FunctionComponent = () => {
      history = useSignalHistory('scalp', 'BTCUSDT');
      return null;
    };
    await act(() => root.render(provider({}, Tape)));
    await eventually(() => gateway.asked.length === 1);
    gateway.signal(1, 0);
    gateway.signal(2, 1);
    await eventually(() => history.length === 2);
    expect(history.map(({ seq }) => seq)).toEqual([1, 2]);
  });
});

describe('useSignals', () => {
  test('follows several feeds at once, in order, and keeps the array while nothing changes', async () => {
    const lists: (readonly SignalSnapshot[])[] = [];
    let more: () => void = () => {};
    const Page: FunctionComponent = () => {
      const [all, setAll] = useState(false);
      more = () => setAll(true);
      lists.push(
        useSignals(
          all
            ? [
                ['scalp', 'BTCUSDT'],
                ['momentum', 'BTCUSDT'],
                ['scalp', 'ETHUSDT'],
              ]
            : [['scalp', 'BTCUSDT']],
        ),
      );
      return null;
    };
    await act(() => root.render(provider({}, Page, Status)));
    await eventually(() => lists.at(-1)?.[0]?.status === 'live');
    const drawn = lists.at(-1);
    await act(() => more());
    await eventually(
      () => lists.at(-1)?.length === 3 && lists.at(-1)?.every(({ status }) => status === 'live') === true,
    );
    gateway.signal(7, 0, 'ETHUSDT');
    await eventually(() => lists.at(-1)?.[2]?.signal?.seq === 7);
    expect(lists.at(-1)?.[0]?.signal).toBeNull();
    expect(drawn).toHaveLength(1);
    expect([...gateway.asked].sort()).toEqual(['momentum/BTCUSDT', 'scalp/BTCUSDT', 'scalp/ETHUSDT']);
    expect(gateway.count('unsubscribe')).toBe(0);
    const before = lists.at(-1);
    await settle();
    expect(lists.at(-1)).toBe(before);
  });
});

describe('useLostConnection', () => {
  let lost: LostConnection | null;
  /** `since` of every picture that React committed, and when that was. */
  const shown: { since: number; at: number }[] = [];
  const Notice: FunctionComponent<{ afterMs?: number }> = ({ afterMs = 300 }) => {
    const now = useLostConnection(afterMs);
    lost = now;
    useLayoutEffect(() => {
      if (now) shown.push({ since: now.since, at: Date.now() });
    });
    return null;
  };
  beforeEach(() => {
    shown.length = 0;
  });

  const expectAllWithin = (from: number, to: number) => {
    expect(shown.length).toBeGreaterThan(0);
    for (const { since } of shown) {
      expect(since).toBeGreaterThanOrEqual(from);
      expect(since).toBeLessThanOrEqual(to);
    }
  };

  test('says nothing of a blip, and something of what lasts, until it is over', async () => {
    await act(() => root.render(provider({}, Notice, Status)));
    await eventually(() => drawn.connection?.state === 'live');
    expect(lost).toBeNull();
    const before = Date.now();
    gateway.leave();
    await eventually(() => lost !== null);
    expectAllWithin(before, Date.now());
    for (const { since, at } of shown) expect(at - since, 'it may be a blip').toBeGreaterThan(250);
    expect(lost).toMatchObject({ retryNow: expect.any(Function), attempt: expect.any(Number) });
    gateway.comeBack();
    await act(() => lost?.retryNow());
    await eventually(() => drawn.connection?.state === 'live');
    await eventually(() => lost === null);
    // Another one, for good: it has a time of its own, from its first picture on.
    const again = Date.now();
    shown.length = 0;
    gateway.drop(4003, 'Access denied');
    await eventually(() => lost?.state === 'blocked');
    expectAllWithin(again, Date.now());
  });

  test('knows in its first picture since when, where no address can work', async () => {
    const before = Date.now();
    await act(() => root.render(provider({ url: 'gopher://gateway' }, () => Notice({}) ?? null)));
    expect(lost?.error).toMatchObject({ code: 'invalid_url' });
    expectAllWithin(before, Date.now());
  });

  test('does not wait where waiting cannot help', async () => {
    const before = Date.now();
    gateway.refused = new Set(['wrong']);
    await act(() => root.render(provider({ getToken: () => 'wrong' }, () => Notice({ afterMs: 60_000 }) ?? null)));
    await eventually(() => lost?.state === 'blocked');
    expectAllWithin(before, Date.now());
    expect(lost?.error).toMatchObject({ code: expect.any(String), hint: expect.any(String) });
  });
});

describe('useConnection', () => {
  test('says what is wrong, and tries again when asked', async () => {
    let refuse = true;
    const getToken: ClientOptions['getToken'] = () => {
      if (refuse) throw Object.assign(new Error('signed out'), { retry: false });
      return 'token';
    };
    await act(() => root.render(provider({ getToken }, Card, Status)));
    await eventually(() => drawn.connection?.state === 'blocked');
    expect(drawn.connection?.error).toMatchObject({ code: 'token_failed', message: 'signed out', retry: false });
    expect(drawn.signal?.error).toMatchObject({ message: 'signed out' });
    refuse = false;
    await act(() => drawn.connection?.retryNow());
    await eventually(() => drawn.connection?.state === 'live' && drawn.signal?.status === 'live');
    expect(drawn.connection?.error).toBeNull();
  });

  test('tells the getToken that was rendered last that a person wants in again', async () => {
    let out = true;
    const getToken = () => {
      if (out) throw Object.assign(new Error('signed out'), { retry: false });
      return 'token';
    };
    const again = () => {
      out = false;
    };
    await act(() => root.render(provider({ getToken }, Status)));
    await eventually(() => drawn.connection?.state === 'blocked');
    await act(() => root.render(provider({ getToken: Object.assign(getToken, { again }) }, Status)));
    await act(() => drawn.connection?.retryNow());
    await eventually(() => drawn.connection?.state === 'live');
  });

  test('of an address that cannot work is blocked, not thrown', async () => {
    await act(() => root.render(provider({ url: 'gopher://gateway' }, Card, Status)));
    expect(drawn.connection).toMatchObject({ state: 'blocked', error: { code: 'invalid_url' } });
    expect(drawn.signal).toMatchObject({ status: 'error', error: { code: 'invalid_url' } });
  });

  test('shows how much of the limits is used', async () => {
    await act(() => root.render(provider({}, Card, Status)));
    await eventually(() => drawn.connection?.limits?.subscriptions.used === 1);
    expect(drawn.connection?.limits).toMatchObject({ connections: { used: null, max: 3 }, subscriptions: { max: 10 } });
  });
});

describe('the provider', () => {
  test('closes the connection a moment after the last one has left', async () => {
    await act(() => root.render(provider({}, Status)));
    await eventually(() => drawn.connection?.state === 'live');
    await act(() => root.render(null));
    const left = performance.now();
    await eventually(() => gateway.open === 0);
    expect(performance.now() - left).toBeGreaterThan(500);
  });

  test('that is taken away and brought back keeps its connection', async () => {
    await act(() => root.render(provider({}, Card, Status)));
    await eventually(() => drawn.signal?.status === 'live');
    for (let round = 0; round < 3; round += 1) {
      // At once: a moment is soon over on a busy machine.
      act(() => root.render(null));
      act(() => root.render(provider({}, Card, Status)));
      await eventually(() => drawn.signal?.status === 'live');
    }
    expect(gateway.connections).toBe(1);
    expect(gateway.count('unsubscribe')).toBe(0);
  });

  test('that was hidden for long connects again when it is shown, with all inside', async () => {
    const followed: string[] = [];
    const Effect: FunctionComponent = () => {
      const client = useTidegate();
      useEffect(() => client?.subscribe('scalp', 'ETHUSDT', ({ symbol }) => followed.push(symbol)), [client]);
      return null;
    };
    const page = (mode: 'visible' | 'hidden') =>
      root.render(createElement(Activity, { mode, ...{ children: provider({}, Card, Status, Effect) } }));
    await act(() => page('visible'));
    await eventually(() => drawn.signal?.status === 'live');
    await act(() => page('hidden'));
    await eventually(() => gateway.open === 0);
    await act(() => page('visible'));
    await eventually(() => drawn.signal?.status === 'live' && drawn.connection?.state === 'live');
    expect([gateway.connections, gateway.open]).toEqual([2, 1]);
    await eventually(() => gateway.asked.filter((feed) => feed === 'scalp/ETHUSDT').length === 2);
    gateway.signal(1, 0, 'ETHUSDT');
    await eventually(() => followed.length === 1);
  });

  test('of another user has a connection of its own', async () => {
    const clients: unknown[] = [];
    const Client: FunctionComponent = () => {
      clients.push(useTidegate());
      return null;
    };
    const page = (identity: string) => createElement('div', { key: identity }, provider({ identity }, Client, Status));
    await act(() => root.render(page('alice')));
    await eventually(() => drawn.connection?.state === 'live');
    const alice = clients.at(-1);
    await act(() => root.render(page('bob')));
    await eventually(() => drawn.connection?.state === 'live');
    expect(clients.at(-1)).not.toBe(alice);
    await eventually(() => gateway.connections === 2 && gateway.open === 1);
  });

  test('asks the getToken that was rendered last', async () => {
    await act(() => root.render(provider({ getToken: () => 'first' }, Status)));
    await eventually(() => drawn.connection?.state === 'live');
    await act(() => root.render(provider({ getToken: () => 'second' }, Status)));
    gateway.drop(4002, 'Token expired');
    await eventually(() => gateway.count('authenticate') === 2);
    expect(gateway.received.findLast(({ type }) => type === 'authenticate')).toMatchObject({ token: 'second' });
  });

  test('is missing: the hook says so', () => {
    expect(() => act(() => root.render(createElement(Status)))).toThrow('TidegateProvider');
  });
});
