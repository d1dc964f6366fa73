// What an application passes in, and what it sees.

/// <reference lib="esnext.disposable" />

import type { TidegateError } from './errors.js';
import type { SignalData, SignalOf, Strategy } from './protocol.js';

/** A fresh access token, and how long it lasts if that is known. */
export type Token = string | { token: string; expiresInMs?: number };

/** What {@link GetToken} is asked with. */
export interface TokenRequest {
  /** Aborted when nobody waits for the answer any more. */
  signal: AbortSignal;
}

/**
 * Answers with a fresh access token. Called before the first connection, before the token expires, and when the
 * gateway refused the one before: so it must not return the same token twice. When it throws an error with
 * `retry: false`, it is not asked again before {@link Client.retryNow} or {@link Client.signedIn}.
 */
export interface GetToken {
  (request: TokenRequest): Token | Promise<Token>;
  /** Tells users of one page apart, for the React layer; `walletAuth` sets it. */
  identity?: string;
  /** Who the user is, if that is known without signing in: then a further tab needs no token to share a connection. */
  user?: () => Promise<string | undefined>;
  /** Called when a person wants to be signed in, before it is asked: {@link Client.retryNow}, {@link Client.signedIn}. */
  again?: () => void;
}

/** The part of the browser's `WebSocket` that is used; the class of the npm package `ws` has it too. */
export interface WebSocketLike {
  /** Handlers, set and cleared by the client. */
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(code?: number, reason?: string): void;
}

/** Makes a socket: `(url, protocols) => new WebSocket(url, protocols)`. */
export type WebSocketFactory = (url: string, protocols: string[]) => WebSocketLike;

/** Where the WebAssembly module comes from, if not from the package itself: an address, bytes, or a module. */
export type WasmSource = string | URL | Request | Response | BufferSource | WebAssembly.Module;

/** Options of `createClient` and `connect`. */
export interface ClientOptions {
  /**
   * The gateway: `wss://host/ws`; `/ws` means the page's own host. A page that came by https may use `ws:` only
   * with loopback addresses.
   */
  url: string | URL;
  /** Where access tokens come from. */
  getToken: GetToken;
  /** Where sockets come from. Default: the global `WebSocket`, which Node has from version 22 on. */
  webSocket?: WebSocketFactory;
  /** Where the WebAssembly module comes from. Default: inside the package. */
  wasm?: WasmSource | Promise<WasmSource>;
  /**
   * Names the user: tabs of the same gateway and user share one connection. Default: what the wallet or the token
   * says; a token that does not say whose it is leaves each tab with a connection of its own.
   */
  identity?: string;
  /**
   * Whether the tabs of a browser share one connection. Default `true`; needs Web Locks, so not in a page that came
   * by plain HTTP from another computer.
   */
  shareTabs?: boolean;
  /** Signals kept per feed for `history`: 0 to 512. Default 100. */
  historySize?: number;
  /** How long a feed that nobody watches is kept, in milliseconds: 0 to 60000. Default 3000. */
  lingerMs?: number;
}

/** Options of `connect`. */
export interface ConnectOptions extends ClientOptions {
  /** How long to wait for the first connection, in milliseconds; `Infinity` is allowed. Default 30000. */
  timeoutMs?: number;
  /** Gives the attempt up. */
  signal?: AbortSignal;
}

/** Where the connection is. */
export type ConnectionState =
  /** Not started. */
  | 'idle'
  /** Asking `getToken`. */
  | 'token'
  /** Opening a socket. */
  | 'dialing'
  /** Waiting for the gateway's answer to the token. */
  | 'authenticating'
  /** Connected. */
  | 'live'
  /** The next attempt comes at `nextRetryAt`. */
  | 'waiting'
  /** The browser says that there is no network. */
  | 'offline'
  /** The page is frozen or in the back/forward cache. */
  | 'frozen'
  /** Trying again by itself cannot help: `error` says why. */
  | 'blocked';

/** One limit; `used` is `null` where nobody tells. */
export interface LimitUse {
  /** How much is used. */
  readonly used: number | null;
  /** How much is allowed. */
  readonly max: number;
}

/** How the connection stands. Immutable. Times are those of `Date.now()`. */
export interface ConnectionSnapshot {
  /** Where it is. */
  readonly state: ConnectionState;
  /** Whose connection it is: this tab's own, one that it shares with other tabs, or another tab's. */
  readonly tab: 'alone' | 'leader' | 'follower';
  /** Live, but silent for a while: asking whether the gateway is there. */
  readonly probing: boolean;
  /** Live, but the gateway said that it is leaving. */
  readonly draining: boolean;
  /** Live, and a fresh token is on its way. */
  readonly refreshing: boolean;
  /** Failed attempts in a row. */
  readonly attempt: number;
  /** When the next attempt comes. */
  readonly nextRetryAt: number | null;
  /** Time from the last ping to its pong, in milliseconds. */
  readonly rttMs: number | null;
  /** When the token expires. */
  readonly expiresAt: number | null;
  /** What the gateway allows, and what is used of it; `null` before the first connection. */
  readonly limits: {
    /** Connections of the user; only the gateway knows how many there are. */
    readonly connections: LimitUse;
    /** Feeds of this connection. */
    readonly subscriptions: LimitUse;
    /** Messages within a minute. */
    readonly messages: LimitUse;
  } | null;
  /** Live, but subscriptions wait until then because the messages are used up. */
  readonly pacedUntil: number | null;
  /** What is wrong, until the connection is live again. */
  readonly error: TidegateError | null;
}

/** How a feed stands. `stale`: the next signal is overdue. `connecting` may have older `data`. */
export type FeedStatus = 'idle' | 'connecting' | 'live' | 'stale' | 'error';

/** One feed. Immutable. Times are those of `Date.now()`. */
export interface FeedSnapshot<S extends Strategy = Strategy> {
  /** How the feed stands. */
  readonly status: FeedStatus;
  /** What the latest signal says. */
  readonly data: SignalData<S> | null;
  /** The latest signal, whole. */
  readonly signal: SignalOf<S> | null;
  /** What is wrong with this feed, or with the connection. */
  readonly error: TidegateError | null;
  /** When the latest signal came. */
  readonly receivedAt: number | null;
  /** How long it took from its evaluation; `null` for one that was asked for later, or of another time. */
  readonly latencyMs: number | null;
  /** When the next signal is due; `null` while nobody knows, and for feeds that are silent by nature. */
  readonly nextAt: number | null;
  /** The latest signals, oldest first; at most `historySize`. */
  readonly history: ReadonlyArray<SignalOf<S>>;
}

/** Signals that were missed; those that the gateway still has follow, and appear in `history`. */
export interface Gap {
  /** Of this strategy. */
  strategy: Strategy;
  /** Of this market. */
  symbol: string;
  /** The `seq` of the last signal before the gap. */
  after: number;
  /** The `seq` of the first signal behind it. */
  before: number;
}

/** One frame, for a developer to look at. Tokens are masked. */
export interface Frame {
  /** `in`: from the gateway. `out`: to it. */
  direction: 'in' | 'out';
  /** The text of the frame. */
  text: string;
  /** When, as of `Date.now()`. */
  at: number;
}

/** A socket that closed. */
export interface CloseInfo {
  /** The close code; 1006 where there was none. */
  code: number;
  /** The close reason. */
  reason: string;
  /** When, as of `Date.now()`. */
  at: number;
}

/** What `Client.on` listens to. */
export interface ClientEvents {
  /** The connection changed. */
  status: ConnectionSnapshot;
  /** Something is wrong that a person may want to know; the client goes on by itself where it can. */
  error: TidegateError;
  /** Signals were missed. */
  gap: Gap;
  /** A frame came or went, in the tab that holds the connection: for developer tools. */
  frame: Frame;
  /** A socket of this tab closed. */
  close: CloseInfo;
}

/** A connection to a gateway that looks after itself. */
export interface Client {
  /** The address of the gateway, as resolved. */
  readonly url: string;
  /** How the connection stands. */
  readonly connection: ConnectionSnapshot;
  /** Where the connection is: `connection.state`. */
  readonly status: ConnectionState;
  /** What the gateway allows, and what is used of it: `connection.limits`. */
  readonly limits: ConnectionSnapshot['limits'];
  /** How a feed stands; it is followed only while somebody watches it. */
  feed<S extends Strategy>(strategy: S, symbol: string): FeedSnapshot<S>;
  /**
   * Every signal of a feed, from now on, until the loop is left or the client is closed. Throws a
   * {@link TidegateError} when the gateway refuses the feed, or when the connection is blocked. A slow loop loses
   * the oldest signals first, after 512.
   */
  signals<S extends Strategy>(strategy: S, symbol: string): AsyncIterableIterator<SignalOf<S>>;
  /** Calls back with every signal of a feed; ends with the function that it returns. */
  subscribe<S extends Strategy>(strategy: S, symbol: string, listener: (signal: SignalOf<S>) => void): () => void;
  /**
   * Follows a feed and calls back, at most once per animation frame, when {@link Client.feed} has changed. Of a closed
   * client nothing changes any more.
   */
  watch(strategy: Strategy, symbol: string, listener: () => void): () => void;
  /** Calls back, at most once per animation frame, when {@link Client.connection} has changed. */
  watchConnection(listener: () => void): () => void;
  /** Calls back at once with every event of a kind; ends with the function that it returns. */
  on<K extends keyof ClientEvents>(event: K, listener: (value: ClientEvents[K]) => void): () => void;
  /** Resolves when the connection is live; rejects when it is blocked or closed. */
  whenLive(signal?: AbortSignal): Promise<void>;
  /** Tries again now: skips a wait, and leaves `blocked`. */
  retryNow(): void;
  /** The user signed in again: fetches a new token, also while live. */
  signedIn(): void;
  /** The last 200 inputs and actions of the client, without secrets, for a bug report. */
  debugReport(): string;
  /** For developer tools and tests. */
  readonly debug: ClientDebug;
  /** Ends everything. A closed client stays closed. */
  close(): void;
  /** The same as `close`. */
  [Symbol.dispose](): void;
}

/** Ways to provoke what otherwise has to be waited for. */
export interface ClientDebug {
  /** Closes the socket as a network failure would; the client comes back by itself. */
  dropConnection(): void;
  /** Sends a text past the client's pacing. */
  send(text: string): void;
}
