// An ordinary client of the HopiumCore WebSocket API: it knows nothing of Tidegate's extensions and just works.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { binary, Gateway } from './gateway.js';

type Message = Record<string, unknown> & { type: string; data?: Record<string, unknown> };

describe.skipIf(!binary)('a plain WebSocket client', () => {
  let gateway: Gateway;

  beforeAll(async () => {
    gateway = await Gateway.start();
  });

  afterAll(() => gateway.kill());

  test('with its token in the address is connected, subscribes and gets signals', async () => {
    const client = await Plain.open(`${gateway.url}?token=${await gateway.token()}`);
    expect((await client.next('connected')).payload).toMatchObject({ roles: ['user'] });
    client.send({ type: 'subscribe', id: 2, symbol: 'BTCUSDT', strategy: 'scalp' });
    expect(await client.next('subscribed')).toMatchObject({
      id: 2,
      symbol: 'BTCUSDT',
      strategy: 'scalp',
      payload: {
        subscribed: ['BTCUSDT'],
        strategies: { BTCUSDT: 'scalp' },
        message: 'Subscribed to BTCUSDT with scalp strategy. Updates will be pushed automatically.',
      },
    });
    for (let count = 0; count < 3; count++) {
      const signal = await client.next('scalp_indicator');
      expect(['LONG', 'SHORT', 'NEUTRAL']).toContain(signal.data?.['side']);
      expect(signal.data).toMatchObject({ symbol: 'BTCUSDT', tp_percent: 0.15, sl_percent: 0.1 });
    }
    client.close();
  });

  test('with its token in the first message is authenticated, lists, pings and unsubscribes', async () => {
    const client = await Plain.open(gateway.url);
    client.send({ type: 'authenticate', id: 1, token: await gateway.token() });
    expect(await client.next('authenticated')).toMatchObject({ id: 1 });
    await client.next('connected');
    client.send({ type: 'subscribe', id: 2, symbol: 'ETHUSDT', strategy: 'momentum' });
    await client.next('subscribed');
    expect((await client.next('momentum_indicator')).data).toMatchObject({ symbol: 'ETHUSDT', sl_percent: 0.2 });
    client.send({ type: 'list_subscriptions', id: 3 });
    expect((await client.next('subscriptions')).payload).toMatchObject({ strategies: { ETHUSDT: 'momentum' } });
    client.send({ type: 'ping', id: 4 });
    expect(await client.next('pong')).toMatchObject({ id: 4 });
    client.send({ type: 'unsubscribe', id: 5, symbol: 'ETHUSDT' });
    expect((await client.next('unsubscribed')).payload).toMatchObject({ subscribed: [] });
    client.close();
  });

  test('with a wrong token is refused with 401 before the upgrade', async () => {
    await expect(Plain.open(`${gateway.url}?token=wrong`)).rejects.toThrow('401 Invalid authentication token');
  });

  test('that does not authenticate is told so after five seconds and closed with 1008', async () => {
    const client = await Plain.open(gateway.url);
    const told = await client.next('error');
    expect(told.payload).toEqual({
      error: 'Authentication timeout. You must authenticate within 5 seconds of connecting.',
      code: 'auth_timeout',
    });
    expect(await client.closed).toBe(1008);
  });
});

/** As few lines as an ordinary client has. */
class Plain {
  readonly closed: Promise<number>;
  readonly #messages: Message[] = [];
  readonly #socket: WebSocket;
  #wake = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => {
      this.#messages.push(JSON.parse(String(data)) as Message);
      this.#wake();
    });
    this.closed = new Promise((resolve) => socket.on('close', resolve));
  }

  static open(url: string): Promise<Plain> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url);
      const client = new Plain(socket);
      socket.on('open', () => resolve(client));
      socket.on('error', reject);
      socket.on('unexpected-response', (_request, response) => {
        let body = '';
        response.on('data', (chunk) => {
          body += chunk;
        });
        response.on('end', () => reject(new Error(`${response.statusCode} ${body}`)));
      });
    });
  }

  send(message: unknown): void {
    this.#socket.send(JSON.stringify(message));
  }

  close(): void {
    this.#socket.close();
  }

  /** The next message of this type; signals and heartbeats before it are passed over, anything else is an error. */
  async next(type: string): Promise<Message & { payload?: unknown }> {
    for (;;) {
      const message = this.#messages.shift();
      if (!message) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (message.type === type) return message;
      if (!('seq' in message) && message.type !== 'heartbeat')
        throw new Error(`${type} was expected, not ${JSON.stringify(message)}`);
    }
  }
}
