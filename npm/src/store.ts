// The latest of everything as immutable snapshots, announced at most once per animation frame.
//
// It knows nothing of sockets or WebAssembly: the client writes, whoever draws reads.

import type { SignalMessage, Strategy } from './protocol.js';
import type { ConnectionSnapshot, FeedSnapshot } from './types.js';

/** A connection that was not started. */
export const IDLE_CONNECTION: ConnectionSnapshot = Object.freeze({
  state: 'idle',
  probing: false,
  draining: false,
  refreshing: false,
  attempt: 0,
  nextRetryAt: null,
  rttMs: null,
  expiresAt: null,
  limits: null,
  pacedUntil: null,
  error: null,
});

/** A feed that nobody follows. */
export const IDLE_FEED: FeedSnapshot<never> = Object.freeze({
  status: 'idle',
  data: null,
  signal: null,
  error: null,
  receivedAt: null,
  latencyMs: null,
  nextAt: null,
  history: Object.freeze([]) as readonly never[],
});

/** One value that is drawn: the draft, the latest snapshot of it, and who draws it. */
class Cell<T extends object> {
  /** Changed in place, so that a thousand signals between two frames cost one snapshot. */
  readonly draft: { -readonly [K in keyof T]: T[K] };
  readonly listeners = new Set<() => void>();
  changed = false;
  #snapshot: T;

  constructor(value: T) {
    this.draft = { ...value };
    this.#snapshot = value;
  }

  /** Whoever asks gets the present state, also between two frames. */
  read(): T {
    if (this.changed) this.#snapshot = Object.freeze(this.copy());
    this.changed = false;
    return this.#snapshot;
  }

  protected copy(): T {
    return { ...this.draft };
  }
}

/** A feed, with its history. */
class FeedCell extends Cell<FeedSnapshot> {
  /** In place as well. */
  readonly history: SignalMessage[] = [];
  historyChanged = false;

  protected override copy(): FeedSnapshot {
    // The same array as long as nothing was added: a memo on it holds.
    if (this.historyChanged) this.draft.history = Object.freeze([...this.history]);
    this.historyChanged = false;
    return super.copy();
  }
}

/** The latest of everything. */
export class Store {
  readonly #connection = new Cell<ConnectionSnapshot>(IDLE_CONNECTION);
  readonly #feeds = new Map<string, FeedCell>();
  /** What changed since the last frame. */
  readonly #dirty = new Set<{ listeners: Set<() => void> }>();
  readonly #historySize: number;
  readonly #frame: Frame;

  constructor(historySize: number, frame: Frame = nextFrame) {
    this.#historySize = historySize;
    this.#frame = frame;
  }

  /** How the connection stands; the same object until that changes. */
  get connection(): ConnectionSnapshot {
    return this.#connection.read();
  }

  /** How a feed stands; the same object until that changes. */
  feed(strategy: Strategy, symbol: string): FeedSnapshot {
    return this.#feeds.get(keyOf(strategy, symbol))?.read() ?? IDLE_FEED;
  }

  /** Calls back after the connection's snapshot was replaced. */
  watchConnection(listener: () => void): () => void {
    return listen(this.#connection, listener);
  }

  /** Calls back after a feed's snapshot was replaced. */
  watchFeed(strategy: Strategy, symbol: string, listener: () => void): () => void {
    return listen(this.#cell(strategy, symbol), listener);
  }

  /** Changes the connection. */
  setConnection(change: Partial<ConnectionSnapshot>): void {
    this.#set(this.#connection, change);
  }

  /** Changes a feed. */
  setFeed(strategy: Strategy, symbol: string, change: Partial<FeedSnapshot>): void {
    this.#set(this.#cell(strategy, symbol), change);
  }

  /** Puts a signal into a feed's history, where it belongs by its `seq`. */
  remember(strategy: Strategy, symbol: string, signal: SignalMessage): void {
    const cell = this.#cell(strategy, symbol);
    const { history } = cell;
    // Nearly always the last place; a signal that was asked for later belongs further up.
    let place = history.length;
    while (place > 0 && (history[place - 1]?.seq ?? 0) > signal.seq) place -= 1;
    if (history[place - 1]?.seq === signal.seq) return;
    history.splice(place, 0, signal);
    if (history.length > this.#historySize) history.shift();
    cell.historyChanged = true;
    this.#touch(cell);
  }

  /** Forgets a feed that nobody follows. */
  forget(strategy: Strategy, symbol: string): void {
    const cell = this.#feeds.get(keyOf(strategy, symbol));
    if (cell && cell.listeners.size === 0) this.#feeds.delete(keyOf(strategy, symbol));
  }

  /** Calls back about everything that changed. */
  flush(): void {
    const dirty = [...this.#dirty];
    this.#dirty.clear();
    for (const cell of dirty) for (const listener of [...cell.listeners]) listener();
  }

  #cell(strategy: Strategy, symbol: string): FeedCell {
    const key = keyOf(strategy, symbol);
    let cell = this.#feeds.get(key);
    if (!cell) {
      cell = new FeedCell(IDLE_FEED);
      this.#feeds.set(key, cell);
    }
    return cell;
  }

  #set<T extends object>(cell: Cell<T>, change: Partial<T>): void {
    Object.assign(cell.draft, change);
    this.#touch(cell);
  }

  #touch<T extends object>(cell: Cell<T>): void {
    cell.changed = true;
    if (this.#dirty.size === 0) this.#frame(() => this.flush());
    this.#dirty.add(cell);
  }
}

/** Calls back when the next picture is drawn. */
export type Frame = (callback: () => void) => void;

/** A page that is not seen draws no frames, and a server none at all: there a short timer does. */
function nextFrame(callback: () => void): void {
  const drawn = typeof requestAnimationFrame === 'function' && document.visibilityState === 'visible';
  if (!drawn) {
    setTimeout(callback, HIDDEN_FRAME_MS);
    return;
  }
  let done = false;
  const once = () => {
    if (done) return;
    done = true;
    callback();
  };
  requestAnimationFrame(once);
  // The page may be hidden before the frame comes.
  setTimeout(once, LATE_FRAME_MS);
}

const HIDDEN_FRAME_MS = 16;
const LATE_FRAME_MS = 250;

const keyOf = (strategy: Strategy, symbol: string): string => `${strategy}/${symbol}`;

function listen(cell: { listeners: Set<() => void> }, listener: () => void): () => void {
  // Wrapped, so that the same function may be given twice.
  const own = () => listener();
  cell.listeners.add(own);
  return () => cell.listeners.delete(own);
}
