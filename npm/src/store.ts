// The latest of everything as immutable snapshots, announced at most once per animation frame.
//
// It knows nothing of sockets or WebAssembly: the client and the feeds write, whoever draws reads.

import { guarded } from './errors.js';
import type { Feed } from './feed.js';
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
  /** Whether its listeners wait for the next frame. */
  waits = false;
  #changed = false;
  #snapshot: T;
  readonly #wait: (cell: Waiting) => void;

  /** `wait` is called with the first change after a frame. */
  constructor(value: T, wait: (cell: Waiting) => void) {
    this.draft = { ...value };
    this.#snapshot = value;
    this.#wait = wait;
  }

  /** Whoever asks gets the present state, also between two frames. */
  read(): T {
    if (this.#changed) this.#snapshot = Object.freeze(this.copy());
    this.#changed = false;
    return this.#snapshot;
  }

  /** Changes it. */
  set(change: Partial<T>): void {
    Object.assign(this.draft, change);
    this.touch();
  }

  protected touch(): void {
    this.change();
    if (this.waits) return;
    this.waits = true;
    this.#wait(this);
  }

  /** The next snapshot is another one. */
  protected change(): void {
    this.#changed = true;
  }

  protected copy(): T {
    return { ...this.draft };
  }
}

/** A feed, with its history. */
export class FeedCell extends Cell<FeedSnapshot> {
  /** Where its signals are; none before it is followed. */
  feed: Feed | undefined;
  #receivedAt = 0;
  /** Signals that came, how many of them the draft has, and whether it lacks one that was missing. */
  #count = 0;
  #shown = 0;
  #filled = false;
  readonly #historySize: number;
  readonly #derived: Derived;

  constructor(historySize: number, derived: Derived, wait: (cell: Waiting) => void) {
    super(IDLE_FEED, wait);
    this.#historySize = historySize;
    this.#derived = derived;
  }

  /** A signal came: the latest. The hot path, so what is derived of it waits for a snapshot. */
  receive(receivedAt: number): void {
    this.#receivedAt = receivedAt;
    this.#count += 1;
    if (!this.waits) this.touch();
  }

  /** One of the missing came. */
  filled(): void {
    this.#filled = true;
    this.touch();
  }

  override read(): FeedSnapshot {
    if (this.#count !== this.#shown) this.change();
    return super.read();
  }

  protected override copy(): FeedSnapshot {
    const { feed } = this;
    this.draft.nextAt = feed ? this.#derived.nextAt(feed) : null;
    const latest = this.#count === this.#shown ? undefined : feed?.latest;
    // The same array as long as nothing was added: a memo on it holds.
    if (latest || this.#filled) {
      this.draft.history = Object.freeze(feed?.history(this.#historySize) ?? []);
    }
    if (latest) this.#take(latest);
    this.#shown = this.#count;
    this.#filled = false;
    return super.copy();
  }

  #take(signal: SignalMessage): void {
    const receivedAt = this.#receivedAt;
    const data = signal.type === 'summary' ? signal.payload : signal.data;
    // The first one was sent because somebody asked, and may be as old as the pause between two.
    const latencyMs = this.#count === 1 ? null : this.#derived.latencyMs(signal.seq, receivedAt);
    Object.assign(this.draft, { signal, data, receivedAt, latencyMs });
  }
}

/** The latest of everything. */
export class Store {
  readonly #connection: Cell<ConnectionSnapshot>;
  /** By strategy, then by symbol. */
  readonly #feeds = new Map<Strategy, Map<string, FeedCell>>();
  /** What changed since the last frame. */
  #dirty: Waiting[] = [];
  readonly #historySize: number;
  readonly #derived: Derived;
  readonly #frame: Frame;

  constructor(historySize: number, derived: Derived, frame: Frame = nextFrame) {
    this.#connection = new Cell(IDLE_CONNECTION, (cell) => this.#wait(cell));
    this.#historySize = historySize;
    this.#derived = derived;
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
    return listen(this.cell(strategy, symbol), listener);
  }

  /** Changes the connection. */
  setConnection(change: Partial<ConnectionSnapshot>): void {
    this.#connection.set(change);
  }

  /** Where a feed is kept: for whoever changes it often. */
  cell(strategy: Strategy, symbol: string): FeedCell {
    return this.#feeds.get(strategy)?.get(symbol) ?? this.#newCell(strategy, symbol);
  }

  /** Calls back about everything that changed. */
  flush(): void {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const cell of dirty) cell.waits = false;
    for (const cell of dirty) for (const listener of [...cell.listeners]) guarded(listener);
  }

  #newCell(strategy: Strategy, symbol: string): FeedCell {
    const cell = new FeedCell(this.#historySize, this.#derived, (changed) => this.#wait(changed));
    const ofStrategy = this.#feeds.get(strategy) ?? new Map<string, FeedCell>();
    this.#feeds.set(strategy, ofStrategy.set(symbol, cell));
    return cell;
  }

  #wait(cell: Waiting): void {
    if (this.#dirty.length === 0) this.#frame(() => this.flush());
    this.#dirty.push(cell);
  }
}

/** What is asked when a snapshot is made, not with every signal. */
export interface Derived {
  /** When the next signal of a feed is due; `null` while nobody knows. */
  nextAt(feed: Feed): number | null;
  /** How long the signal with this `seq` took, if it came at this date; `null` while nobody knows. */
  latencyMs(seq: number, receivedAt: number): number | null;
}

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
