// A gateway in a few lines, for tests that want to see every frame and to misbehave on purpose.

import type { AddressInfo } from 'node:net';
import { type WebSocket as Socket, WebSocketServer } from 'ws';
import type { SignalMessage, Strategy } from '../src/protocol.js';

export type Sent = { type: string; id?: number; subscriptions?: Wanted[] } & Record<string, unknown>;
type Wanted = { symbol: string; strategy: Strategy; since?: number };

export class FakeGateway {
  /** Every message of every client, in order. */
  readonly received: Sent[] = [];
  /** Connections so far. */
  connections = 0;
  /** What the server knows; anything else is refused. */
  symbols = ['BTCUSDT', 'ETHUSDT'];
  /** Tokens that are refused. */
  refused = new Set<string>();
  /** Time between two signals, as told to clients. */
  intervalMs = 30_000;
  /** Whether signals are kept, and sent to whoever subscribes: those after `since`, else the latest. */
  keeps = false;
  /** How long a token lasts, as told to clients. */
  expiresInMs = 900_000;
  /** Whether it has stopped to answer, while its sockets stay open. */
  deaf = false;
  #away = false;
  readonly #kept: SignalMessage[] = [];
  readonly #server: WebSocketServer;
  readonly #sockets = new Set<Socket>();

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on('connection', (socket) => this.#welcome(socket));
  }

  static async start(): Promise<FakeGateway> {
    const verifyClient = () => !gateway.#away;
    const handleProtocols = () => 'tidegate.v1';
    const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols, verifyClient });
    const gateway = new FakeGateway(server);
    await new Promise((resolve, reject) => server.once('listening', resolve).once('error', reject));
    return gateway;
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.#server.address() as AddressInfo).port}/ws`;
  }

  /** Open sockets. */
  get open(): number {
    return this.#sockets.size;
  }

  /** The `seq` of every signal that was kept. */
  get published(): number[] {
    return this.#kept.map(({ seq }) => seq);
  }

  /** How many messages of a type came. */
  count(type: string): number {
    return this.received.filter((message) => message.type === type).length;
  }

  /** Every feed that was asked for, in whichever message. */
  get asked(): string[] {
    return this.received
      .filter(({ type }) => type === 'subscribe' || type === 'authenticate')
      .flatMap(({ subscriptions }) => (subscriptions ?? []).map((feed) => `${feed.strategy}/${feed.symbol}`));
  }

  /** Sends text to every client. */
  send(text: string): void {
    for (const socket of this.#sockets) socket.send(text);
  }

  /** Sends a scalp signal to every client. */
  signal(seq: number, prev: number, symbol = 'BTCUSDT'): void {
    const signal = scalp(seq, prev, symbol);
    if (this.keeps) this.#kept.push(signal);
    this.send(JSON.stringify(signal));
  }

  /** Sends the next scalp signal. */
  next(): void {
    const prev = this.published.at(-1) ?? 0;
    this.signal(prev + 1, prev);
  }

  /** Closes every connection. */
  drop(code: number, reason = ''): void {
    for (const socket of this.#sockets) socket.close(code, reason);
  }

  /** Ends every connection and lets nobody in, at the same address: another program may take one that is given up. */
  leave(): void {
    this.#away = true;
    for (const socket of this.#sockets) socket.terminate();
  }

  /** Lets everybody in again. */
  comeBack(): void {
    this.#away = false;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #welcome(socket: Socket): void {
    this.connections += 1;
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket));
    socket.on('message', (data) => {
      const message = JSON.parse(String(data)) as Sent;
      this.received.push(message);
      if (this.deaf && message.type !== 'authenticate') return;
      for (const reply of this.#replies(message)) socket.send(JSON.stringify(reply));
      if (this.keeps) for (const signal of this.#missed(message)) socket.send(JSON.stringify(signal));
      if (message.type === 'authenticate' && this.refused.has(String(message['token']))) {
        socket.close(4001, 'Invalid token');
      }
    });
  }

  #missed({ subscriptions = [] }: Sent): SignalMessage[] {
    return subscriptions.flatMap(({ symbol, since }) => {
      const ofSymbol = this.#kept.filter((signal) => signal.symbol === symbol);
      return since === undefined ? ofSymbol.slice(-1) : ofSymbol.filter(({ seq }) => seq > since);
    });
  }

  #replies({ type, id = 0, ...message }: Sent): unknown[] {
    switch (type) {
      case 'authenticate': {
        if (this.refused.has(String(message['token']))) {
          return [
            { type: 'auth_error', id, payload: { error: 'Invalid authentication token', code: 'invalid_token' } },
          ];
        }
        const granted = message.subscriptions ? [this.#subscribed(id, message.subscriptions)] : [];
        const { expiresInMs } = this;
        return [authenticated(id, expiresInMs), connected(id, this.connections, expiresInMs), ...granted];
      }
      case 'subscribe':
        return [this.#subscribed(id, message.subscriptions ?? [])];
      case 'unsubscribe':
        return [{ type: 'unsubscribed', id, payload: { subscribed: [], strategies: {}, subscriptions: [] } }];
      case 'ping':
        return [{ type: 'pong', id, server_time: new Date().toISOString() }];
      default:
        return [];
    }
  }

  #subscribed(id: number, wanted: Wanted[]): unknown {
    const known = ({ symbol }: Wanted) => this.symbols.includes(symbol);
    const granted = wanted.filter(known).map((feed) => ({ ...feed, interval_ms: this.intervalMs, recovered: true }));
    const rejected = wanted
      .filter((feed) => !known(feed))
      .map((feed) => ({ ...feed, error: 'Unknown symbol', code: 'unknown_symbol' }));
    const payload = { subscribed: [], strategies: {}, subscriptions: granted, rejected, message: '' };
    return { type: 'subscribed', id, payload };
  }
}

export function scalp(seq: number, prev: number, symbol = 'BTCUSDT'): SignalMessage {
  const data = { symbol, side: 'NEUTRAL', current_price: 1 } as never;
  return { type: 'scalp_indicator', symbol, strategy: 'scalp', seq, prev, data };
}

function authenticated(id: number, expiresInMs: number): unknown {
  return { type: 'authenticated', id, payload: { wallet_address: '0x0', expires_at: '', expires_in_ms: expiresInMs } };
}

function connected(id: number, session: number, expiresInMs: number): unknown {
  return {
    type: 'connected',
    id,
    payload: {
      session_id: `session-${session}`,
      user_id: '0x0',
      wallet_address: '0x0',
      roles: ['user'],
      expires_at: new Date(Date.now() + expiresInMs).toISOString(),
      expires_in_ms: expiresInMs,
      server_time: new Date().toISOString(),
      heartbeat_seconds: 25,
      limits: {
        messages_per_minute: 30,
        subscriptions_per_connection: 10,
        connections_per_user: 3,
        max_message_bytes: 102_400,
      },
    },
  };
}

/** Waits until something holds; for what has no event of its own. */
export async function until(holds: () => boolean, what = String(holds)): Promise<void> {
  for (const end = performance.now() + PATIENCE_MS; performance.now() < end; ) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`never came true: ${what}`);
}

/** After this a test has failed; a busy machine is several times slower than a quiet one. */
const PATIENCE_MS = 30_000;
