// The SDK in Node against the real gateway: sign-in by wallet, signals as an async iterator, and a crash in between.

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { connect, type WalletProvider, type WebSocketFactory, walletAuth } from '../dist/index.js';
import { binary, Gateway, sleep, wallet } from './gateway.js';

const webSocket: WebSocketFactory = (url, protocols) => new WebSocket(url, protocols) as never;

test('importing the package touches no global and opens nothing', async () => {
  const before = Object.keys(globalThis);
  await import('../dist/index.js');
  expect(Object.keys(globalThis)).toEqual(before);
});

describe.skipIf(!binary)('the SDK', () => {
  let gateway: Gateway;

  beforeAll(async () => {
    gateway = await Gateway.start();
  });

  afterAll(() => gateway.kill());

  test('signs in and yields an unbroken chain of signals, also across a crash of the gateway', async () => {
    const getToken = walletAuth({ provider: wallet(), url: gateway.http });
    const client = await connect({ url: gateway.url, getToken, webSocket });
    let last = 0;
    let received = 0;
    let crashed = false;
    for await (const signal of client.signals('scalp', 'BTCUSDT')) {
      if (last !== 0) expect(signal.prev, `nothing is missing before ${signal.seq}`).toBe(last);
      last = signal.seq;
      received += 1;
      if (received === 2) {
        await gateway.kill();
        // Longer than a signal's interval: one at least is published to nobody.
        await sleep(4_000);
        await gateway.start();
        crashed = true;
      }
      if (received === 6) break;
    }
    expect(crashed).toBe(true);
    client.close();
  });

  test('asks for no signature after logging out, and for one when the person is back', async () => {
    let signatures = 0;
    const { request } = wallet();
    const provider: WalletProvider = {
      request: (asked) => {
        if (asked.method === 'personal_sign') signatures += 1;
        return request(asked);
      },
    };
    const auth = walletAuth({ provider, url: gateway.http });
    const client = await connect({ url: gateway.url, getToken: auth, webSocket });
    await auth.logout();
    await vi.waitFor(
      () => expect(client.connection).toMatchObject({ state: 'blocked', error: { code: 'token_denied' } }),
      { timeout: 30_000 },
    );
    expect(signatures).toBe(1);
    client.signedIn();
    await client.whenLive();
    expect(signatures).toBe(2);
    client.close();
  });

  test('reports a token that is refused, with what to do, and stops', async () => {
    const failing = connect({ url: gateway.url, getToken: () => 'wrong', webSocket });
    await expect(failing).rejects.toMatchObject({ name: 'TidegateError', hint: expect.any(String) });
  });
});
