// The client core with its sockets, as one object that survives a trap of the WebAssembly module.
//
// Data frames are parsed here, once; the core hears five numbers of each and answers whether to deliver it.

import type { Engine as Core } from '../wasm/tidegate.js';
import { asError, guarded, TidegateError } from './errors.js';
import { type Block, type CoreFeedStatus, type CoreInput, type EngineListener, type Feed, Verdict } from './events.js';
import { NO_FEED } from './feed.js';
import { Feeds } from './feeds.js';
import { isSignal, linesOf, objectOf, unreadable } from './frames.js';
import { type Fact, type FeedName, factsOf } from './host.js';
import { Line } from './line.js';
import { type Glue, isResetting, onReset, resetAfterTrap } from './module.js';
import type { ServerMessage, SignalMessage, Strategy } from './protocol.js';
import { mark, masked, Recorder, type Word } from './recorder.js';
import { Stopwatch } from './stopwatch.js';
import type { ConnectionState, GetToken, WebSocketFactory } from './types.js';

export * from './events.js';

/** What the engine needs. */
export interface EngineOptions {
  url: string;
  getToken: GetToken;
  webSocket: WebSocketFactory;
  lingerMs: number;
  /** Signals of each feed that are remembered, at least. */
  kept: number;
}

/** How long the core collects changes into one message, in milliseconds: `Options::new` in `client-core`. */
const COALESCE_MS = 25;

/** Browsers take a longer time for none at all; waking up too early does no harm. */
const LONGEST_TIMER_MS = 2 ** 30;

/** One client core with its socket. */
export class Engine {
  readonly #options: EngineOptions;
  readonly #listener: EngineListener;
  readonly #feeds: Feeds;
  readonly #line: Line;
  readonly #closing = new AbortController();
  readonly #clock = new Stopwatch();
  /** Whether anybody wants to see what comes in. */
  tapped = false;
  #recorder: Recorder | undefined;
  #stepAt = 0;
  /** What the core reported that trapped last. */
  #past = '';
  #core: Core | undefined;
  #connected = false;
  #leave: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: EngineOptions, listener: EngineListener) {
    this.#options = options;
    this.#feeds = new Feeds(options.kept);
    this.#line = new Line(options.webSocket, options.url);
    this.#listener = listener;
  }

  /** Brings the core to life, and tells it what was wanted so far. */
  start(glue: Glue): void {
    this.#leave = onReset({
      rebuild: (fresh) => this.#rebuild(fresh),
      fail: (error) => {
        this.#end();
        // Whoever starts it again decides when.
        this.#connected = false;
        this.#listener.onFailure(error);
      },
    });
    if (this.#recorder) this.#past = `${this.#recorder.report()}\ntrap\n`;
    const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
    const { lingerMs } = this.#options;
    this.#core = new glue.Engine(this.#host(), high, low, lingerMs);
    this.#recorder = new Recorder(['tidegate-client', `${(BigInt(high) << 32n) | BigInt(low)}`, lingerMs, COALESCE_MS]);
    for (const feed of this.feeds()) {
      for (let count = 0; count < feed.wanted; count += 1) this.#subscribe(feed);
    }
    if (this.#connected) this.input('connect');
  }

  /** Whether the core is there. */
  get started(): boolean {
    return this.#core !== undefined;
  }

  /** Calls the core; `undefined` when it is not there, or when it trapped. */
  call<T>(action: (core: Core) => T): T | undefined {
    if (!this.#core || isResetting()) return undefined;
    try {
      return action(this.#core);
    } catch (error) {
      return trapped(error);
    }
  }

  /** Something happened that has a name and nothing else. */
  input(input: CoreInput): void {
    if (input === 'connect') this.#connected = true;
    if (input === 'disconnect') this.#connected = false;
    if (input === 'hidden' || input === 'visible') this.#clock.exact = input === 'hidden';
    this.#step([input], (core, now) => core.input(input, now));
  }

  /** What is used of the limits. */
  get usage(): { subscriptions: number; messages: number } | undefined {
    const now = this.#clock.now();
    return this.call((core) => ({ subscriptions: core.subscriptionsUsed(now), messages: core.messagesUsed(now) }));
  }

  /** The last inputs and actions; those that led to a trap too. */
  report(): string {
    return this.#past + (this.#recorder?.report() ?? '');
  }

  /** Adds a reference to a feed; one call of {@link release} takes it back. */
  subscribe(strategy: Strategy, symbol: string): Feed {
    const feed = this.#feeds.get(strategy, symbol);
    this.#subscribe(feed);
    feed.wanted += 1;
    return feed;
  }

  /** Takes a reference back. */
  release(feed: Feed): void {
    feed.wanted -= 1;
    if (feed.wanted === 0) feed.rest();
    const { handle } = feed;
    if (handle !== NO_FEED) this.#step(['release', handle], (core, now) => core.release(handle, now));
  }

  /** This page has the feed up to this signal, whoever got it. */
  held(feed: Feed, seq: number): void {
    const { handle } = feed;
    if (seq === 0 || handle === NO_FEED) return;
    this.#step(['held', handle, seq], (core, now) => core.held(handle, seq, now));
  }

  /** A feed that was asked for at least once. */
  find(strategy: Strategy, symbol: string): Feed | undefined {
    return this.#feeds.find(strategy, symbol);
  }

  /** Every feed that was asked for at least once. */
  feeds(): Iterable<Feed> {
    return this.#feeds.all();
  }

  /** Milliseconds until the next signal is due, as far as this tab knows. */
  dueInMs(feed: Feed): number | undefined {
    return this.call((core) => core.dueInMs(feed.handle, this.#clock.now()));
  }

  /** Closes the socket without telling the core, as a network failure would. */
  dropConnection(): void {
    this.#line.drop();
  }

  /** Sends past the core. */
  sendRaw(text: string): void {
    if (this.#line.send(text)) this.#listener.onFrame('out', text);
  }

  /** Ends everything. The core is freed later: a frame of it may be on the stack right now. */
  close(): void {
    this.#closing.abort();
    this.input('disconnect');
    // After a trap the object belongs to an instance that is gone, or will be when this is done.
    const core = isResetting() ? undefined : this.#core;
    this.#end();
    queueMicrotask(() => {
      if (!isResetting()) core?.free();
    });
  }

  #rebuild(glue: Glue): void {
    this.#end();
    this.#listener.onError(new TidegateError('wasm_trap'));
    this.start(glue);
  }

  /** The core is gone, or does not get to what it has to end: from inside a callback only after this one. */
  #end(): void {
    this.#leave?.();
    this.#core = undefined;
    this.#feeds.unbind();
    clearTimeout(this.#timer);
    this.#line.close(1000);
  }

  #subscribe(feed: Feed): void {
    const { strategy, symbol } = feed;
    const subscribe = (core: Core, now: number) => core.subscribe(symbol, strategy, now) || NO_FEED;
    const handle = this.#step(['subscribe', `${symbol}/${strategy}`], subscribe);
    if (handle === undefined || (handle === feed.handle && handle !== NO_FEED)) return;
    // Given back in between: whoever wants it now has not seen what came before.
    if (feed.handle !== NO_FEED) feed.restart();
    this.#feeds.bind(feed, handle);
    this.#listener.onFeed(feed, 'pending', '');
    if (handle === NO_FEED) {
      this.#refuse(feed);
      return;
    }
    this.held(feed, feed.last);
  }

  /** As the gateway would refuse it, if it were asked. */
  #refuse(feed: Feed): void {
    this.#listener.onFeed(feed, 'rejected', 'invalid_feed');
    this.#listener.onWarning('feed_rejected', 'invalid_feed', 0, feed);
  }

  /** Tells the core what happened, and notes it. */
  #step<T>(words: Word[], action: (core: Core, now: number) => T): T | undefined {
    if (!this.#core) return undefined;
    const now = this.#clock.now();
    this.#stepAt = Math.floor(now);
    this.#note('>', words);
    return this.call((core) => action(core, now));
  }

  /** What the core wants, it wants at the time of the step that led to it. */
  #note(direction: '<' | '>', words: Word[]): void {
    this.#recorder?.note([this.#stepAt, direction, ...words]);
  }

  /** What the core calls; the names are those of `Host` in `client-wasm/src/lib.rs`. */
  #host() {
    const listener = this.#listener;
    const told = (handle: number, tell: (feed: Feed) => void) => {
      const feed = this.#feeds.byHandle(handle);
      if (feed) guarded(() => tell(feed));
    };
    return {
      openSocket: (socket: number) => {
        this.#note('<', ['open', socket]);
        this.#openSocket(socket);
      },
      closeSocket: (socket: number, code: number) => {
        this.#note('<', ['close', socket, code]);
        this.#line.close(code);
      },
      send: (socket: number, text: string) => {
        this.#note('<', ['send', socket, masked(text)]);
        guarded(() => this.sendRaw(text));
      },
      fetchToken: (request: number) => {
        this.#note('<', ['fetch_token', request]);
        void this.#fetchToken(request);
      },
      setTimer: (inMs: number) => {
        clearTimeout(this.#timer);
        if (inMs < 0 || this.#closing.signal.aborted) return;
        this.#timer = setTimeout(() => this.input('tick'), Math.min(Math.ceil(inMs), LONGEST_TIMER_MS));
      },
      onStatus: (state: ConnectionState, block: Block, numbers: Float64Array) =>
        guarded(() => listener.onStatus(state, block, numbers)),
      onFeed: (handle: number, status: CoreFeedStatus, code: string) =>
        told(handle, (feed) => listener.onFeed(feed, status, code)),
      onGap: (handle: number, after: number, before: number) =>
        told(handle, (feed) => listener.onGap(feed, after, before)),
      onWarning: (name: string, code: string, number: number, handle: number) =>
        guarded(() => listener.onWarning(name, code, number, this.#feeds.byHandle(handle))),
    };
  }

  async #fetchToken(request: number): Promise<void> {
    try {
      const answer = await this.#options.getToken({ signal: this.#closing.signal });
      const { token, expiresInMs } = typeof answer === 'string' ? { token: answer } : answer;
      if (typeof token !== 'string' || token === '') {
        throw new TidegateError('token_failed', { message: 'getToken returned no token' });
      }
      const words = [
        'token_ok',
        request,
        mark(token),
        expiresInMs === undefined ? '-' : Math.max(0, Math.floor(expiresInMs)),
      ];
      this.#step(words, (core, now) => core.tokenOk(request, token, expiresInMs ?? Number.NaN, now));
    } catch (cause) {
      if (this.#closing.signal.aborted) return;
      const error = asError(cause, 'token_failed');
      this.#listener.onError(error);
      const denied = !error.retry;
      this.#step(['token_err', request, Number(denied)], (core, now) => core.tokenErr(request, denied, now));
    }
  }

  #openSocket(id: number): void {
    try {
      this.#line.open({
        onopen: () => this.#step(['open', id], (core, now) => core.opened(id, now)),
        onmessage: ({ data }) => this.#read(id, this.#onFrame(data)),
        onclose: ({ code, reason }) => {
          this.#listener.onClose(code, String(reason));
          this.#closed(id, code, String(reason));
        },
      });
    } catch (cause) {
      guarded(() => this.#listener.onError(asError(cause, 'no_websocket')));
      this.#closed(id, 1006, '');
    }
  }

  #closed(socket: number, code: number, reason: string): void {
    this.#step(['closed', socket, code, reason], (core, now) => core.closed(socket, code, now));
  }

  #onFrame(data: unknown): string {
    const text = typeof data === 'string' ? data : '';
    if (this.tapped) this.#listener.onFrame('in', text);
    return text;
  }

  /** A frame is one object, or several, separated by newlines. */
  #read(socket: number, text: string): void {
    let message: ServerMessage;
    try {
      message = JSON.parse(text);
    } catch (error) {
      const lines = linesOf(text);
      if (lines.length > 1) for (const line of lines) this.#read(socket, line);
      // Not JSON at all: still a sign of life, and told as a frame of no known type.
      else this.#onControl(socket, unreadable(error));
      return;
    }
    if (isSignal(message)) this.#onSignal(socket, message);
    else this.#onControl(socket, objectOf(message));
  }

  /** As {@link #step}, without a function made for every signal. */
  #onSignal(socket: number, signal: SignalMessage): void {
    const core = this.#core;
    if (!core || isResetting()) return;
    const { strategy, symbol, seq, prev } = signal;
    const feed = this.#feeds.find(strategy, symbol);
    const handle = feed ? feed.handle : NO_FEED;
    const clock = this.#clock;
    const now = clock.signal();
    const recorder = this.#recorder as Recorder;
    const noted = recorder.signal(now, socket, handle, seq, prev);
    let verdict: number;
    try {
      verdict = core.signal(socket, handle, seq, prev, now);
    } catch (error) {
      trapped(error);
      return;
    }
    recorder.verdict(noted, verdict);
    if (verdict !== Verdict.drop && feed) this.#listener.onSignal(feed, signal, verdict, clock.date);
  }

  #onControl(socket: number, message: ServerMessage): void {
    this.#listener.onControl(message);
    const handleOf = ({ strategy, symbol }: FeedName) => this.find(strategy, symbol)?.handle ?? NO_FEED;
    for (const fact of factsOf(message, handleOf)) this.#onFact(socket, fact);
  }

  #onFact(socket: number, { kind, id, numbers, text }: Fact): void {
    const known = [id, ...numbers].filter((number) => !Number.isNaN(number));
    const words: Word[] = ['message', socket, kind, ...known];
    // The session of `connected` is nobody's business.
    if (text !== '' && kind !== 'connected') words.push(text);
    this.#step(words, (core, now) => core.message(socket, kind, id, numbers, text, now));
  }
}

/** What the module throws by itself is a trap: it is made anew. Anything else is thrown on. */
function trapped(error: unknown): undefined {
  if (!(error instanceof WebAssembly.RuntimeError)) throw error;
  resetAfterTrap(error);
}
