// The latest of everything as immutable snapshots, announced at most once per animation frame.
//
// It knows nothing of sockets or WebAssembly: the client writes, whoever draws reads.

import { guarded } from './errors.js';
import type { SignalMessage, Strategy } from './protocol.js';
import type { ConnectionSnapshot, FeedSnapshot } from './types.js';

/** A connection that was not started. */
export const IDLE_CONNECTION: ConnectionSnapshot = Object.freeze({
  state: 'idle',
  tab: 'alone',
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
  /** Whether its listeners wait for the next frame. */
  waits = false;
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
  /** In place as well; of these the last `historySize` are shown. */
  readonly history: SignalMessage[] = [];
  historyChanged = false;
  /** The latest signal, if the draft has not got it yet, and when it came with which latency (NaN: none). */
  #received: SignalMessage | undefined;
  readonly #times = new Float64Array(2);
  #first = true;
  readonly #historySize: number;
  readonly #nextAt: () => number | null;

  constructor(historySize: number, nextAt: () => number | null) {
    super(IDLE_FEED);
    this.#historySize = historySize;
    this.#nextAt = nextAt;
  }

  /** Kept in as few places as can be: what is derived of it waits for a snapshot. */
  receive(signal: SignalMessage, receivedAt: number, latencyMs: number | null): void {
    this.#received = signal;
    this.#times[0] = receivedAt;
    // The first one was sent because somebody asked, and may be as old as the pause between two.
    this.#times[1] = this.#first ? Number.NaN : (latencyMs ?? Number.NaN);
    this.#first = false;
  }

  protected override copy(): FeedSnapshot {
    this.draft.nextAt = this.#nextAt();
    if (this.#received) this.#take(this.#received);
    this.#received = undefined;
    // The same array as long as nothing was added: a memo on it holds.
    if (this.historyChanged) this.draft.history = Object.freeze(this.#latest());
    this.historyChanged = false;
    return super.copy();
  }

  #take(signal: SignalMessage): void {
    const [receivedAt = 0, latencyMs = Number.NaN] = this.#times;
    const data = signal.type === 'summary' ? signal.payload : signal.data;
    Object.assign(this.draft, { signal, data, receivedAt, latencyMs: Number.isNaN(latencyMs) ? null : latencyMs });
  }

  #latest(): SignalMessage[] {
    return this.history.slice(Math.max(0, this.history.length - this.#historySize));
  }
}

/** The latest of everything. */
export class Store {
  readonly #connection = new Cell<ConnectionSnapshot>(IDLE_CONNECTION);
  /** By strategy, then by symbol: a joined key would be made anew for every signal. */
  readonly #feeds = new Map<Strategy, Map<string, FeedCell>>();
  /** What changed since the last frame. */
  #dirty: Waiting[] = [];
  readonly #historySize: number;
  readonly #nextAt: NextAt;
  readonly #frame: Frame;

  /** `nextAt` is asked when a snapshot is made, not with every signal. */
  constructor(historySize: number, nextAt: NextAt = () => null, frame: Frame = nextFrame) {
    this.#historySize = historySize;
    this.#nextAt = nextAt;
    this.#frame = frame;
  }

  /** How the connection stands; the same object until that changes. */
  get connection(): ConnectionSnapshot {
    return this.#connection.read();
  }

  /** How a feed stands; the same object until that changes. */
  feed(strategy: Strategy, symbol: string): FeedSnapshot {
    return this.#feeds.get(strategy)?.get(symbol)?.read() ?? IDLE_FEED;
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

  /** A signal came: the latest of its feed. The hot path. */
  receive(signal: SignalMessage, receivedAt: number, latencyMs: number | null): void {
    const cell = this.#cell(signal.strategy, signal.symbol);
    cell.receive(signal, receivedAt, latencyMs);
    this.#remember(cell, signal);
    this.#touch(cell);
  }

  /** Puts a signal into a feed's history, where it belongs by its `seq`. */
  remember(strategy: Strategy, symbol: string, signal: SignalMessage): void {
    const cell = this.#cell(strategy, symbol);
    this.#remember(cell, signal);
    this.#touch(cell);
  }

  /** Calls back about everything that changed. */
  flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const cell of dirty) cell.waits = false;
    for (const cell of dirty) for (const listener of [...cell.listeners]) guarded(listener);
  }

  #cell(strategy: Strategy, symbol: string): FeedCell {
    return this.#feeds.get(strategy)?.get(symbol) ?? this.#newCell(strategy, symbol);
  }

  #newCell(strategy: Strategy, symbol: string): FeedCell {
    const cell = new FeedCell(this.#historySize, () => this.#nextAt(strategy, symbol));
    const ofStrategy = this.#feeds.get(strategy) ?? new Map<string, FeedCell>();
    this.#feeds.set(strategy, ofStrategy.set(symbol, cell));
    return cell;
  }

  #remember(cell: FeedCell, signal: SignalMessage): void {
    const { history } = cell;
    // Nearly always the last place; a signal that was asked for later belongs further up.
    let place = history.length;
    while (place > 0 && (history[place - 1]?.seq ?? 0) > signal.seq) place -= 1;
    if (place > 0 && history[place - 1]?.seq === signal.seq) return;
    if (place === history.length) history.push(signal);
    else history.splice(place, 0, signal);
    // Not one by one: to move all others for every signal would cost more than to read it.
    if (history.length > 2 * this.#historySize) history.splice(0, history.length - this.#historySize);
    cell.historyChanged = true;
  }

  #set<T extends object>(cell: Cell<T>, change: Partial<T>): void {
    Object.assign(cell.draft, change);
    this.#touch(cell);
  }

  #touch<T extends object>(cell: Cell<T>): void {
    cell.changed = true;
    if (cell.waits) return;
    cell.waits = true;
    if (this.#dirty.length === 0) this.#frame(() => this.flush());
    this.#dirty.push(cell);
  }
}

/** When the next signal of a feed is due; `null` while nobody knows. */
export type NextAt = (strategy: Strategy, symbol: string) => number | null;

/** What waits for the next frame. */
interface Waiting {
  readonly listeners: Set<() => void>;
  waits: boolean;
}

/** Calls back when the next picture is drawn. */
export type Frame = (callback: () => void) => void;

/** A page that is not seen draws no frames, and a worker or a server none at all: there a short timer does. */
function nextFrame(callback: () => void): void {
  const drawn = typeof document !== 'undefined' && document.visibilityState === 'visible';
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

function listen(cell: { listeners: Set<() => void> }, listener: () => void): () => void {
  // Wrapped, so that the same function may be given twice.
  const own = () => listener();
  cell.listeners.add(own);
  return () => cell.listeners.delete(own);
}
