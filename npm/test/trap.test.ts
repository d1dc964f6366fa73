// What happens when the WebAssembly module traps, which it should not: everything is made anew.

import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { connect, type WebSocketFactory } from '../src/index.js';
import { load } from '../src/module.js';
import { FakeGateway, until } from './fake-gateway.js';

const webSocket: WebSocketFactory = (url, protocols) => new WebSocket(url, protocols) as never;

let gateway: FakeGateway;

beforeEach(async () => {
  gateway = await FakeGateway.start();
});

afterEach(async () => {
  vi.restoreAllMocks();
  await gateway.stop();
});

/** Makes the next call of a method of the module trap. */
async function trapNext(method: 'signal' | 'input'): Promise<void> {
  const { Engine } = await load();
  vi.spyOn(Engine.prototype, method).mockImplementationOnce(() => {
    throw new WebAssembly.RuntimeError('unreachable');
  });
}

test('after a trap the client is rebuilt and follows what it followed, from where it was', async () => {
  const options = { url: gateway.url, getToken: () => `token-${Math.random()}`, webSocket };
  const [client, bystander] = await Promise.all([connect(options), connect(options)]);
  const seen: number[] = [];
  const errors: string[] = [];
  client.on('error', ({ code }) => errors.push(code));
  client.subscribe('scalp', 'BTCUSDT', ({ seq }) => seen.push(seq));
  await until(() => gateway.asked.length === 1);
  gateway.signal(1, 0);
  await until(() => seen.length === 1);

  await trapNext('input');
  client.retryNow();
  await until(() => gateway.connections === 4 && gateway.open === 2);
  await Promise.all([client.whenLive(), bystander.whenLive()]);
  expect(errors).toEqual(['wasm_trap']);
  expect(gateway.asked).toEqual(['scalp/BTCUSDT', 'scalp/BTCUSDT']);
  const subscriptions = gateway.received.flatMap((message) => message.subscriptions ?? []);
  expect(subscriptions.map(({ since }) => since)).toEqual([undefined, 1]);
  gateway.signal(2, 1);
  await until(() => seen.includes(2));

  expect(client.debugReport(), 'what led to it is not lost').toMatch(/> connect\ntrap\ntidegate-client/);

  client.close();
  bystander.close();
  await until(() => gateway.open === 0);
});

test.each([
  ['right after a trap', true],
  ['by a call that traps', false],
])('a client that is closed %s stays closed, and nothing of the old module is freed', async (_, before) => {
  const options = { url: gateway.url, getToken: () => `token-${Math.random()}`, webSocket };
  const [client, bystander] = await Promise.all([connect(options), connect(options)]);
  const { Engine } = await load();
  const free = vi.spyOn(Engine.prototype, 'free');
  await trapNext('input');
  if (before) client.retryNow();
  client.close();
  await until(() => gateway.connections === 3, 'the other one is made anew');
  await bystander.whenLive();
  expect(free).not.toHaveBeenCalled();
  expect(client.status).toBe('idle');
  await until(() => gateway.open === 1);
  bystander.close();
  await until(() => gateway.open === 0);
  expect(free).toHaveBeenCalledOnce();
  expect(gateway.connections).toBe(3);
});

// The last one here: the module remembers its traps for a minute.
test('a module that keeps trapping is given up with its socket, until somebody tries again', async () => {
  const options = { url: gateway.url, getToken: () => `token-${Math.random()}`, webSocket };
  const client = await connect(options);
  const seen: number[] = [];
  client.subscribe('scalp', 'BTCUSDT', ({ seq }) => seen.push(seq));
  await until(() => gateway.asked.length === 1);
  gateway.signal(1, 0);
  await until(() => seen.length === 1);
  for (let round = 0; round < 10 && client.connection.state !== 'blocked'; round += 1) {
    await trapNext('input');
    client.retryNow();
    await until(() => client.connection.state === 'live' || client.connection.state === 'blocked');
  }
  expect(client.connection).toMatchObject({ state: 'blocked', error: { code: 'wasm_trap' } });
  await until(() => gateway.open === 0, 'its socket is closed');
  const connections = gateway.connections;
  client.retryNow();
  await client.whenLive();
  expect(gateway.connections).toBe(connections + 1);
  const [last] = gateway.received.flatMap((message) => message.subscriptions ?? []).slice(-1);
  expect(last?.since, 'it goes on where it was').toBe(1);
  gateway.signal(2, 1);
  await until(() => seen.length === 2);
  client.close();
  await until(() => gateway.open === 0);
});
