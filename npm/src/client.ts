// The client that applications hold: the engine's events become snapshots, callbacks and loops.

/// <reference lib="esnext.disposable" />

import { Clock } from './clock.js';
import { type Block, Engine, type EngineListener, type Feed } from './engine.js';
import { asError, fromJSON, guarded, TidegateError } from './errors.js';
import { load } from './module.js';
import { watchPage } from './page.js';
import type { ServerMessage, SignalMessage, SignalOf, Strategy } from './protocol.js';
import { SignalQueue } from './queue.js';
import { masked } from './recorder.js';
import { Store } from './store.js';
import type { Mirror } from './tabs/message.js';
import type { SharedListener } from './tabs/parts.js';
import { pageRim } from './tabs/rim.js';
import { RECENT, Shared } from './tabs/shared.js';
import { errorOf, rejection, serverTimeOf, warning } from './told.js';
import type {
  Client,
  ClientDebug,
  ClientEvents,
  ClientOptions,
  ConnectionSnapshot,
  ConnectionState,
  FeedSnapshot,
  GetToken,
  WebSocketFactory,
} from './types.js';
import { pageLocation, socketUrl } from './url.js';
import { once, Usage } from './usage.js';
import { type Follower, View } from './view.js';

type Listeners = { [K in keyof ClientEvents]: Set<(value: ClientEvents[K]) => void> };

/** Old browsers have no such symbol; then it is one that nobody asks for. */
const dispose: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for('Symbol.dispose');

/** The client behind `createClient`. */
export class TidegateClient implements Client, SharedListener {
  readonly url: string;
  readonly debug: ClientDebug;
  readonly #options: ClientOptions;
  readonly #engine: Engine;
  /** The same engine, or another tab's. */
  readonly #shared: Shared<Engine>;
  readonly #store: Store;
  readonly #usage: Usage;
  readonly #clock = new Clock();
  readonly #listeners: Listeners = {
    status: new Set(),
    error: new Set(),
    gap: new Set(),
    frame: new Set(),
    close: new Set(),
  };
  #leavePage: () => void = () => {};
  #closed = false;

  constructor(options: ClientOptions) {
    this.url = socketUrl(options.url, pageLocation());
    this.#options = options;
    const historySize = within(options.historySize ?? 100, 512);
    this.#store = new Store(historySize, {
      nextAt: (feed) => this.#shared.dueAt(feed),
      latencyMs: (seq, receivedAt) => this.#clock.latencyMs(seq, receivedAt),
    });
    const { getToken } = options;
    const lingerMs = within(options.lingerMs ?? 3_000, 60_000);
    const webSocket = options.webSocket ?? globalWebSocket();
    const rim = options.shareTabs === false ? undefined : pageRim();
    const { url } = this;
    const own = (token: GetToken, listener: EngineListener) =>
      new Engine({ url, getToken: token, webSocket, lingerMs, kept: Math.max(historySize, RECENT) }, listener);
    this.#shared = new Shared({ rim, url, identity: options.identity, getToken }, this, own);
    this.#engine = this.#shared.engine;
    this.#usage = new Usage(
      this.#store,
      () => this.#engine.usage,
      () => this.#shared.follows,
    );
    this.debug = {
      dropConnection: () => this.#shared.dropConnection(),
      send: (text) => this.#engine.sendRaw(text),
    };
    this.#shared.input('connect');
    void this.#start();
  }

  get connection(): ConnectionSnapshot {
    return this.#store.connection;
  }

  get status(): ConnectionState {
    return this.connection.state;
  }

  get limits(): ConnectionSnapshot['limits'] {
    return this.connection.limits;
  }

  feed<S extends Strategy>(strategy: S, symbol: string): FeedSnapshot<S> {
    return this.#store.feed(strategy, symbol) as FeedSnapshot<S>;
  }

  signals<S extends Strategy>(strategy: S, symbol: string): AsyncIterableIterator<SignalOf<S>> {
    const queue = new SignalQueue<SignalOf<S>>();
    const leave = this.#follow(strategy, symbol, {
      signal: (signal) => queue.push(signal as SignalOf<S>),
      fail: (error) => queue.fail(error),
      end: () => queue.end(),
    });
    queue.onLeave = leave;
    return queue;
  }

  subscribe<S extends Strategy>(strategy: S, symbol: string, listener: (signal: SignalOf<S>) => void): () => void {
    return this.#follow(strategy, symbol, { signal: listener as (signal: SignalMessage) => void });
  }

  watch(strategy: Strategy, symbol: string, listener: () => void): () => void {
    const unwatch = this.#store.watchFeed(strategy, symbol, listener);
    // A component may find a client that somebody closed: it shows that, and its page must not break over it.
    if (this.#closed) return unwatch;
    const leave = this.#follow(strategy, symbol, { signal: () => {} });
    return () => {
      unwatch();
      leave();
    };
  }

  watchConnection(listener: () => void): () => void {
    const unwatch = this.#store.watchConnection(listener);
    if (this.#closed) return unwatch;
    const leave = this.#usage.watch();
    return () => {
      unwatch();
      leave();
    };
  }

  on<K extends keyof ClientEvents>(event: K, listener: (value: ClientEvents[K]) => void): () => void {
    const own = (value: ClientEvents[K]) => listener(value);
    const listeners = this.#listeners[event];
    listeners.add(own);
    this.#tap();
    return () => {
      listeners.delete(own);
      this.#tap();
    };
  }

  async whenLive(signal?: AbortSignal): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const look = () => {
        const { state, error } = this.#store.connection;
        if (signal?.aborted) reject(asError(signal.reason, 'aborted'));
        else if (this.#closed) reject(new TidegateError('closed'));
        else if (state === 'live') resolve();
        else if (state === 'blocked') reject(error ?? new TidegateError('stopped'));
        else return;
        stop();
        signal?.removeEventListener('abort', look);
      };
      const stop = this.on('status', look);
      signal?.addEventListener('abort', look);
      look();
    });
  }

  retryNow(): void {
    if (this.#closed) return;
    this.#options.getToken.again?.();
    if (this.#engine.started) this.#shared.input('connect');
    else void this.#start();
  }

  signedIn(): void {
    this.#options.getToken.again?.();
    this.#shared.input('new_token');
  }

  debugReport(): string {
    return this.#engine.report();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#leavePage();
    this.#usage.stop();
    this.#shared.close();
    for (const feed of this.#engine.feeds()) {
      feed.view?.end();
      this.#show(feed);
    }
    this.#setConnection({ state: 'idle', attempt: 0, nextRetryAt: null, probing: false, refreshing: false });
    for (const listeners of Object.values(this.#listeners)) listeners.clear();
  }

  [dispose](): void {
    this.close();
  }

  // What the engine tells.

  onStatus(state: ConnectionState, block: Block, numbers: Float64Array): void {
    if (this.#closed) return;
    const [flags = 0, attempt = 0, retryInMs, expiresInMs, pacedForMs, rttMs, messages, feeds, connections] = numbers;
    const now = Date.now();
    const was = this.#store.connection;
    this.#setConnection({
      state,
      tab: this.#shared.role,
      probing: (flags & 1) !== 0,
      draining: (flags & 2) !== 0,
      refreshing: (flags & 4) !== 0,
      attempt,
      nextRetryAt: known(retryInMs, now),
      rttMs: known(rttMs, 0),
      expiresAt: known(expiresInMs, now),
      pacedUntil: known(pacedForMs, now),
      error: errorOf(state, block, was),
      limits: state === 'live' || was.limits ? this.#usage.limits(connections, feeds, messages) : null,
    });
    this.#showBlock(was);
  }

  mirror(): Mirror {
    this.#usage.refresh();
    const { connection } = this.#store;
    return { ...connection, error: connection.error?.toJSON() ?? null, offsetMs: this.#clock.offsetMs };
  }

  onMirror({ error: told, offsetMs, ...connection }: Mirror): void {
    if (this.#closed) return;
    const was = this.#store.connection;
    const same = JSON.stringify(told) === JSON.stringify(was.error);
    const error = same ? was.error : fromJSON(told);
    this.#clock.offsetMs = offsetMs;
    this.#setConnection({ ...connection, tab: 'follower', error });
    if (error && !same) this.#emit('error', error);
    this.#showBlock(was);
  }

  onFeed(feed: Feed): void {
    this.#show(feed);
    if (feed.status === 'rejected') feed.view?.fail(rejection(feed));
  }

  onControl(message: ServerMessage): void {
    const time = serverTimeOf(message);
    if (message.type === 'connected') this.#clock.reset();
    if (time) this.#clock.sample(Date.parse(time), Date.now());
  }

  onGap(feed: Feed, after: number, before: number): void {
    this.#emit('gap', { strategy: feed.strategy, symbol: feed.symbol, after, before });
  }

  onWarning(name: string, code: string, number: number, feed: Feed | undefined): void {
    // What getToken threw was told when it was thrown.
    if (name === 'token_failed' || name === 'token_denied') return;
    // A feed's trouble is the feed's own, not the connection's.
    if (feed) this.#emit('error', rejection(feed, code));
    else this.onError(warning(name, code, number));
  }

  onError(error: TidegateError): void {
    if (this.#closed) return;
    this.#store.setConnection({ error });
    this.#emit('error', error);
  }

  onFrame(direction: 'in' | 'out', text: string): void {
    if (direction === 'out') this.#usage.refresh();
    if (this.#listeners.frame.size === 0) return;
    const shown = direction === 'out' ? masked(text) : text;
    this.#emit('frame', { direction, text: shown, at: Date.now() });
  }

  onClose(code: number, reason: string): void {
    this.#emit('close', { code, reason, at: Date.now() });
  }

  onFailure(error: TidegateError): void {
    if (this.#closed) return;
    this.#setConnection({ state: 'blocked', error });
    this.#emit('error', error);
    this.#failAll(error);
    this.#showAll();
  }

  async #start(): Promise<void> {
    // Not `blocked` any more, whatever comes of it.
    if (this.#store.connection.state === 'blocked') this.#setConnection({ state: 'idle', error: null });
    try {
      const glue = await load(this.#options.wasm);
      if (this.#closed || this.#engine.started) return;
      this.#shared.start(glue);
      this.#leavePage();
      this.#leavePage = watchPage((event) => this.#shared.input(event));
    } catch (cause) {
      this.onFailure(asError(cause, 'wasm_failed'));
    }
  }

  #follow(strategy: Strategy, symbol: string, follower: Follower): () => void {
    if (this.#closed) throw new TidegateError('closed');
    const feed = this.#shared.subscribe(strategy, symbol);
    feed.view ??= new View(this.#store.cell(strategy, symbol), feed);
    const { view } = feed;
    view.followers = [...view.followers, follower];
    this.#show(feed);
    const { state, error } = this.#store.connection;
    if (state === 'blocked') follower.fail?.(error ?? new TidegateError('stopped'));
    else if (feed.status === 'rejected') follower.fail?.(rejection(feed));
    return once(() => {
      follower.left = true;
      if (this.#closed) return;
      view.followers = view.followers.filter((other) => other !== follower);
      this.#shared.release(feed);
      if (view.followers.length === 0) this.#show(feed);
    });
  }

  #show(feed: Feed): void {
    const refusal = feed.status === 'rejected' ? rejection(feed) : null;
    feed.view?.show(feed.status, refusal, this.#store.connection);
  }

  /** Whoever follows a feed has to know when the connection will not come back by itself, and when it does. */
  #showBlock(was: ConnectionSnapshot): void {
    const { state, error } = this.#store.connection;
    if ((state === 'blocked') === (was.state === 'blocked')) return;
    if (state === 'blocked') this.#failAll(error ?? new TidegateError('stopped'));
    this.#showAll();
  }

  #showAll(): void {
    for (const feed of this.#engine.feeds()) this.#show(feed);
  }

  #failAll(error: TidegateError): void {
    for (const feed of this.#engine.feeds()) feed.view?.fail(error);
  }

  /** What comes in is shown only to those who ask. */
  #tap(): void {
    this.#engine.tapped = this.#listeners.frame.size > 0;
  }

  #setConnection(change: Partial<ConnectionSnapshot>): void {
    this.#store.setConnection(change);
    this.#emit('status', this.#store.connection);
  }

  #emit<K extends keyof ClientEvents>(event: K, value: ClientEvents[K]): void {
    for (const listener of [...this.#listeners[event]]) guarded(listener, value);
  }
}

/** A number of the core's on the page's clock; NaN is not known. */
function known(number = Number.NaN, since: number): number | null {
  return Number.isNaN(number) ? null : number + since;
}

function within(value: number, max: number): number {
  return Number.isFinite(value) ? Math.min(Math.max(Math.trunc(value), 0), max) : max;
}

function globalWebSocket(): WebSocketFactory {
  if (typeof WebSocket === 'undefined') throw new TidegateError('no_websocket');
  return (url, protocols) => new WebSocket(url, protocols);
}
